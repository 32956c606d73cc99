"""Write the files in jax_files/ with Flax 0.12, Equinox 0.13 and Haiku 0.0.17; run by hand.

Usage: python -m tools.golden.make_jax_files
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax
import haiku as hk
import jax
import numpy as np
from flax import linen, nnx
from safetensors.numpy import save_file

from . import GOLDEN

HERE = GOLDEN / "jax_files"
STEPS, INPUTS, UNITS = 20, 2, 3
RNG = np.random.default_rng(13)
X = RNG.normal(size=(STEPS, INPUTS)).astype("f4")
EXPECTED: dict[str, Any] = {"inputs": X}
# the same weights in double precision, where float32 rounding is none of the difference
PRECISE: dict[str, Any] = {}
jax.config.update("jax_enable_x64", True)


def randomised(tree: Any) -> Any:
    draw = lambda leaf: np.asarray(RNG.normal(0.0, 0.8, leaf.shape), "f4")  # noqa: E731
    return jax.tree_util.tree_map(draw, tree)


def run(name: str, step: Callable[[Any, Any, Any], Any], params: Any, carry: Any) -> None:
    """Drive a cell from the zero state, in both precisions, and keep its outputs."""
    for expected, dtype in ((EXPECTED, "f4"), (PRECISE, "f8")):
        cast = lambda leaf, dtype=dtype: jax.numpy.asarray(leaf, dtype)  # noqa: E731
        weights, state = jax.tree_util.tree_map(cast, (params, carry))
        outputs = []
        for x in X.astype(dtype):
            state, y = step(weights, state, x)
            outputs.append(np.asarray(y))
        expected[name] = np.stack(outputs)
        assert expected[name].dtype == dtype, name


def write_tree(name: str, params: Any) -> None:
    (HERE / f"{name}.msgpack").write_bytes(flax.serialization.to_bytes(params))
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    arrays = {key: np.asarray(value) for key, value in flat.items()}
    np.savez(HERE / f"{name}.npz", **arrays)
    dotted = {key.replace("/", "."): value for key, value in arrays.items()}
    save_file(dotted, HERE / f"{name}.safetensors")


def from_linen() -> None:
    for name, cell in {
        "linen_lstm": linen.LSTMCell(UNITS),
        "linen_lstm_optimized": linen.OptimizedLSTMCell(UNITS),
        "linen_gru": linen.GRUCell(UNITS),
        "linen_simple": linen.SimpleCell(UNITS),
    }.items():
        carry = cell.initialize_carry(jax.random.key(0), (INPUTS,))
        params = randomised(cell.init(jax.random.key(0), carry, X[0]))
        run(name, cell.apply, params, carry)
        write_tree(name, params)


def from_nnx() -> None:
    rngs = nnx.Rngs(0)
    for name, cell in {
        "nnx_lstm": nnx.LSTMCell(INPUTS, UNITS, rngs=rngs),
        "nnx_lstm_optimized": nnx.OptimizedLSTMCell(INPUTS, UNITS, rngs=rngs),
        "nnx_gru": nnx.GRUCell(INPUTS, UNITS, rngs=rngs),
        "nnx_simple": nnx.SimpleCell(INPUTS, UNITS, dtype=None, rngs=rngs),
    }.items():
        graph, state = nnx.split(cell)
        state = randomised(state)
        nnx.update(cell, state)
        carry = cell.initialize_carry((INPUTS,), rngs=rngs)
        run(name, lambda p, c, x, graph=graph: nnx.merge(graph, p)(c, x), state, carry)
        write_tree(name, nnx.to_pure_dict(nnx.state(cell, nnx.Param)))


def from_equinox(suffix: str, **options: Any) -> None:
    """Write Equinox's cells, as it serialises them and by the names of their fields."""
    key = jax.random.key(0)
    for name, cell in {
        f"equinox_lstm{suffix}": eqx.nn.LSTMCell(INPUTS, UNITS, key=key, **options),
        f"equinox_gru{suffix}": eqx.nn.GRUCell(INPUTS, UNITS, key=key, **options),
    }.items():
        cell = randomised(cell)
        zero = np.zeros(UNITS, "f4")
        if "lstm" in name:
            run(name, lambda p, c, x: (p(x, c), p(x, c)[0]), cell, (zero, zero))
        else:
            run(name, lambda p, c, x: (p(x, c), p(x, c)), cell, zero)
        eqx.tree_serialise_leaves(HERE / f"{name}.eqx", cell)
        fields = ("weight_ih", "weight_hh", "bias", "bias_n")
        there = [field for field in fields if getattr(cell, field, None) is not None]
        arrays = {f"cell.{field}": np.asarray(getattr(cell, field)) for field in there}
        np.savez(HERE / f"{name}.npz", **arrays)


def from_haiku() -> None:
    for name, core in {"haiku_lstm": hk.LSTM, "haiku_gru": hk.GRU}.items():

        def net(x: Any, state: Any, core: Any = core) -> Any:
            cell = core(UNITS)
            return cell(x, cell.initial_state(None) if state is None else state)

        made = hk.without_apply_rng(hk.transform(net))
        params = randomised(made.init(jax.random.key(0), X[0], None))
        zero = np.zeros(UNITS, "f4")
        carry = hk.LSTMState(zero, zero) if name == "haiku_lstm" else zero
        run(name, lambda p, c, x, f=made: f.apply(p, x, c)[::-1], params, carry)
        arrays = {f"{m}/{k}": np.asarray(v) for m, d in params.items() for k, v in d.items()}
        np.savez(HERE / f"{name}.npz", **arrays)


if __name__ == "__main__":
    from_linen()
    from_nnx()
    from_equinox("")
    from_haiku()
    from_equinox("_no_bias", use_bias=False)
    np.savez(HERE / "expected.npz", **EXPECTED)
    np.savez(HERE / "expected_float64.npz", **PRECISE)
