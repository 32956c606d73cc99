"""The parameters among the arrays of a source, under the names that framework layouts know.

Training leaves an optimizer's state next to them, PyTorch's reparametrisations leave the factors of
a weight in its place, and TensorFlow 2's checkpoints hang a suffix on each name.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from ..arrays import Array
from .formats import Contents
from .formats.refusal import RefusedError

# key of the metadata that counts the arrays left out
OPTIMIZER = "tensors of an optimizer"
OWNERS = {"optimizer", "_optimizer", "optimizers", "optimizer_state", "optimizer_states",
          "optimizer_state_dict", "optimizer_weights", "opt_state"}  # fmt: skip
# moments of torch's optimizers and of optax's, whatever they are kept under, and TensorFlow's
MOMENTS = re.compile(
    r"(.*[./])?state[./]\d+[./]\w+|(.*[./])?\d+[./](mu|nu|trace)[./].*"
    r"|.*/\.OPTIMIZER_SLOT/.*|.*/(Adam|RMSProp|Momentum|Adagrad)(_\d)?(:0)?"
)

TF2 = "/.ATTRIBUTES/VARIABLE_VALUE"
TF2_NUMBERED = re.compile(r"(?P<owner>(?:.*/)?(?:_trainable_|_all_)?variables)/(?P<number>\d+)")
TF2_OTHERS = re.compile(r"_CHECKPOINTABLE_OBJECT_GRAPH|(.*/)?save_counter|keras_api/.*")

# the weight, and the factor of it that a name holds; factors of one weight by their kind
FACTOR = re.compile(
    r"(?P<module>(?:.*\.)?)(?:parametrizations\.(?P<new>\w+)\.(?P<part>original[01]?|\d+\.\w+)"
    r"|(?P<old>\w+)_(?P<kind>raw|orig|mask|g|u|v))"
)
REMOVE = {
    "new": "torch.nn.utils.parametrize.remove_parametrizations(module, {!r})",
    "g": "torch.nn.utils.remove_weight_norm(module, {!r})",
    "orig": "torch.nn.utils.remove_spectral_norm(module, {!r}) or prune.remove(module, {!r})",
}


def parameters(contents: Contents) -> Contents:
    """Return the parameters alone, with the metadata that `origins` reads."""
    metadata = dict(contents.metadata)
    arrays = dict(_without_suffix(contents.arrays))
    moments = [name for name in arrays if _is_moment(name)]
    if moments:
        metadata[OPTIMIZER] = str(len(moments))
        if len(moments) == len(arrays):
            finding = f"holds only the state of an optimizer, {len(moments)} tensors"
            raise RefusedError(finding, "give the file of the model")
    arrays = {name: array for name, array in arrays.items() if name not in set(moments)}
    return Contents(_put_together(arrays, metadata), metadata)


def origins(contents: Contents, names: Iterable[str]) -> list[str]:
    """Return how some parameters were put together; refuse one that the source leaves open."""
    for name in sorted(names):
        if remedy := contents.metadata.get(f"{name}@unsettled"):
            finding = f"{name} is reparametrised in a way that the file does not settle"
            raise RefusedError(finding, f"before saving, call {remedy}")
    found = ((name, contents.metadata.get(f"{name}@origin")) for name in sorted(names))
    return [f"{name} is {origin}" for name, origin in found if origin]


def _is_moment(name: str) -> bool:
    # Keras 3 keeps the model's own variables here, unless another part of the checkpoint has them
    if "/_trainable_variables/" in name:
        return False
    return not OWNERS.isdisjoint(re.split(r"[./]", name)) or bool(MOMENTS.fullmatch(name))


def _without_suffix(arrays: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield arrays, those of a TensorFlow 2 checkpoint under Keras's names."""
    if not any(name.endswith(TF2) for name in arrays):
        yield from arrays.items()
        return
    numbered: dict[str, dict[int, Array]] = {}
    for name, array in arrays.items():
        match = TF2_NUMBERED.fullmatch(name.removesuffix(TF2))
        if match is not None and not _is_moment(match[0]):
            numbered.setdefault(match["owner"], {})[int(match["number"])] = array
        elif not TF2_OTHERS.fullmatch(name.removesuffix(TF2)):
            yield name.removesuffix(TF2), array
    # all of them once more, in no order
    numbered.pop("_all_variables", None)
    for owner, variables in numbered.items():
        ordered = [variables[number] for number in sorted(variables)]
        while ordered:
            place = f"{owner}/{len(variables) - len(ordered)}"
            for role in _roles([variable.shape for variable in ordered[:3]]):
                yield f"{place}/{role}", ordered.pop(0)


def _roles(shapes: list[tuple[int, ...]]) -> tuple[str, ...]:
    """Return the roles of the first variables, by their shapes: Keras keeps them in order."""
    rank = [len(shape) for shape in shapes]
    if rank[:2] == [2, 2] and shapes[0][1] == shapes[1][1]:
        n, rows = shapes[1]
        biased = rank[2:] in ([1], [2]) and shapes[2][-1] == rows
        if (n and rows in (3 * n, 4 * n)) or (biased and rows == n):
            return ("kernel", "recurrent_kernel", *["bias"] * biased)
    if rank[:2] == [2, 1] and shapes[0][1] == shapes[1][0]:
        return ("kernel", "bias")
    return ("variable",)


def _put_together(arrays: dict[str, Array], metadata: dict[str, str]) -> dict[str, Array]:
    """Return arrays with each reparametrised weight in place of its factors."""
    factors: dict[str, dict[str, str]] = {}
    for name in arrays:
        match = FACTOR.fullmatch(name)
        if match is not None and "weight" in (match["old"] or "weight"):
            weight = match["module"] + (match["new"] or match["old"])
            factors.setdefault(weight, {})[match["part"] or match["kind"]] = name
    found = dict(arrays)
    for weight, names in factors.items():
        made = _weight({kind: arrays[name] for kind, name in names.items()})
        first = next((n for k, n in names.items() if k in ("raw", "orig", "original", "g")), None)
        if made is None and (first is None or "g" in names):
            continue  # a name that only looks like a factor
        for name in names.values():
            found.pop(name)
        last = weight.rpartition(".")[2]
        module = weight.removesuffix(last)
        if "raw" in names and f"{module}module.{last}" in found:
            weight = f"{module}module.{last}"
        if made is None:
            kind = "orig" if "orig" in names else "new"
            metadata[f"{weight}@unsettled"] = REMOVE[kind].format(last, last)
            found[weight] = arrays[str(first)]
        else:
            found[weight], metadata[f"{weight}@origin"] = made
    return found


def _weight(factors: dict[str, Array]) -> tuple[Array, str] | None:
    """Return a weight and where it comes from, unless its factors do not settle it."""
    by = {kind.rpartition(".")[2].lstrip("_"): array for kind, array in factors.items()}
    if "raw" in by:
        return by["raw"], "the one before dropout"
    g, v = by.get("original0", by.get("g")), by.get("original1", by.get("v"))
    if g is not None and v is not None and len(factors) == 2:
        if g.ndim not in (0, v.ndim) or any(
            a not in (1, b) for a, b in zip(g.shape, v.shape, strict=False)
        ):
            return None
        axes = tuple(axis for axis, size in enumerate(g.shape) if size == 1) if g.ndim else None
        v = v.astype(np.float64)
        return g * v / np.sqrt(
            np.sum(v * v, axis=axes, keepdims=True)
        ), "put together (weight norm)"
    original = by.get("original", by.get("orig"))
    if original is None:
        return None
    if set(by) - {"original", "orig"} == {"mask"}:
        return original * by["mask"], "put together (pruned)"
    if set(by) - {"original", "orig"} == {"u", "v"} and original.ndim == 2:
        u, v = by["u"].astype(np.float64), by["v"].astype(np.float64)
        matrix = original if original.shape == (u.size, v.size) else original.T
        if matrix.shape == (u.size, v.size):
            return original / (u @ matrix @ v), "put together (spectral norm)"
    return None
