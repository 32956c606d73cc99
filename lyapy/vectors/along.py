"""The trajectory along which vectors are computed: its arguments, checked."""

import re
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, check_size
from ..networks.forward import LayerForward, layer_forward
from ..networks.inputs import check_inputs
from ..networks.network import Network
from ..runs.start import check_start
from ..tangent.compiled import layer_forward as compiled_layer_forward
from .passes import living_directions


class Along(NamedTuple):
    """A trajectory, checked: where vectors are asked for, and where it begins and ends."""

    network: Network
    inputs: Array
    state: Array
    at: Array
    transient: int
    run_layer: LayerForward

    @property
    def stop(self) -> int:
        """The step before which the trajectory ends."""
        return len(self.inputs)


def check_along(
    network: Network,
    inputs: Any,
    steps: int | None,
    at: Any,
    transient: int,
    backward_transient: int | str,
    initial_state: Any,
    seed: int,
) -> Along:
    """Return the trajectory that the arguments of `covariant_vectors` describe."""
    if not isinstance(network, Network):
        raise TypeError(f"network is a {type(network).__name__}; give a lyapy.Network (lyapy.load)")
    check_size("seed", seed, 0)
    if backward_transient != "auto":
        check_size("backward_transient", backward_transient, 0)
    ahead = 0 if isinstance(backward_transient, str) else backward_transient
    all_inputs = check_inputs(network, inputs, transient, steps, stacklevel=4)
    begin = check_start(network, all_inputs, initial_state, None, seed)
    if len(begin.states) > 1:
        finding = f"there are {len(begin.states)} trajectories, and vectors follow one"
        raise ValueError(f"{finding}; give inputs (T, m) and initial_state (D,) of one")
    last = all_inputs.shape[1] - ahead
    if last <= transient:
        raise ValueError(
            f"inputs have {all_inputs.shape[1]} steps, too few for transient={transient} and "
            f"backward_transient={ahead}; give more steps"
        )
    chosen = np.arange(transient, last) if at is None else np.unique(at)
    if not len(chosen) or chosen.dtype.kind not in "iu":
        raise TypeError(f"at is {at!r}; it must be a step, or a sequence of steps")
    if chosen[0] < transient or chosen[-1] >= last:
        raise ValueError(
            f"at holds step {chosen[0] if chosen[0] < transient else chosen[-1]}; between the "
            f"transients lie steps {transient} to {last - 1}"
        )
    plain = any(cell.plain for cell in network.cells)
    run_layer = layer_forward if plain else compiled_layer_forward
    _check_layers(network)
    return Along(network, all_inputs[0], begin.states[0], chosen, transient, run_layer)


def _check_layers(network: Network) -> None:
    """Refuse layers above others whose programs do not follow their inputs."""
    for layer, cell in enumerate(network.cells[1:], 1):
        if not re.search(r"\bdx\b", cell.program):
            raise ValueError(
                f"the program of layer {layer}, {cell.name}, has no term of the deviation of its "
                "input, which the vectors of a stack need; write a cell that has one"
            )


def check_k(along: Along, k: int | None) -> tuple[int, int]:
    """Return the number of vectors, without directions that a Jacobian annihilates, and of rows.

    One more row, where there is one, shows how fast the span of all k finds its direction.
    """
    D = along.network.state_size
    if k is not None:
        check_size("k", k, 1, D, f"the state has {D} dimensions")
    alive = living_directions(
        along.network, along.inputs, along.state, along.transient, along.run_layer
    )
    if not alive:
        raise ValueError("all exponents are −∞: every direction dies, and none has a vector")
    k = min(alive, D if k is None else k)
    return k, min(k + 1, alive)
