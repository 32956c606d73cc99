"""Write ``torch_cells.npz``: what torch's recurrent modules compute, for the cell tests.

Run ``python -m tools.golden.make_torch_cells`` where torch is installed; the tests
themselves only read the file. Everything is float64 and seeded. For every case the file holds

- ``CASE/weights/NAME``: the module's parameters under torch's own names,
- ``CASE/inputs``: the input sequence, shape (T, m),
- ``CASE/initial_state``: the full state before the first step, shape (D,),
- ``CASE/states``: the full state after every step, shape (T, D),
- ``CASE/jacobian``: the derivative of the last full state with respect to the full state
  one step earlier, shape (D, D), row = new state, column = old state.

The full state runs layer by layer; within an LSTM layer h comes first and then c.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

STEPS = 5
HIDDEN = 5
INPUT = 3
PROJECTION = 2
RECURRENT_GAIN = 1.5

KINDS = {
    "rnn_tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}),
    "gru": (nn.GRU, {}),
    "lstm": (nn.LSTM, {}),
    "lstm_proj": (nn.LSTM, {"proj_size": PROJECTION}),
}
LAYERS_AND_BIAS = [(1, True), (1, False), (2, True), (2, False), (3, True), (3, False)]


def draw_weights(module: nn.RNNBase, generator: torch.Generator) -> None:
    """Replace torch's small initial weights by ones that bend the nonlinearities.

    Parameters
    ----------
    module : torch.nn.RNNBase
        Module whose parameters are overwritten.
    generator : torch.Generator
        Source of the random numbers.
    """
    with torch.no_grad():
        for name, weight in module.named_parameters():
            draw = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            if name.startswith("bias"):
                weight.copy_(0.5 * draw)
            else:
                gain = 1.0 if name.startswith("weight_ih") else RECURRENT_GAIN
                weight.copy_(gain * draw / weight.shape[1] ** 0.5)


def advance(module: nn.RNNBase, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """Take one step of the full state vector.

    Parameters
    ----------
    module : torch.nn.RNNBase
        The recurrent module.
    x : torch.Tensor
        Input of the step, shape (m,).
    state : torch.Tensor
        Full state before the step, shape (D,).

    Returns
    -------
    torch.Tensor
        Full state after the step, shape (D,).
    """
    per_layer = state.reshape(module.num_layers, -1)
    if not isinstance(module, nn.LSTM):
        return module(x[None], per_layer)[1].reshape(-1)
    width = module.proj_size or module.hidden_size
    h, c = per_layer[:, :width].contiguous(), per_layer[:, width:].contiguous()
    _, (h, c) = module(x[None], (h, c))
    return torch.cat([h, c], dim=1).reshape(-1)


def record_case(module: nn.RNNBase, generator: torch.Generator) -> dict[str, np.ndarray]:
    """Run one module and collect its golden arrays.

    Parameters
    ----------
    module : torch.nn.RNNBase
        The recurrent module, in float64.
    generator : torch.Generator
        Source of the inputs and of the initial state.

    Returns
    -------
    dict of str to numpy.ndarray
        Arrays by their names inside the case.
    """
    per_layer = module.proj_size or module.hidden_size
    if isinstance(module, nn.LSTM):
        per_layer += module.hidden_size
    inputs = torch.randn(STEPS, INPUT, generator=generator, dtype=torch.float64)
    initial = 0.5 * torch.randn(
        module.num_layers * per_layer, generator=generator, dtype=torch.float64
    )
    trajectory = [initial]
    with torch.no_grad():
        for x in inputs:
            trajectory.append(advance(module, x, trajectory[-1]))
    jacobian = torch.autograd.functional.jacobian(
        lambda state: advance(module, inputs[-1], state), trajectory[-2]
    )
    arrays = {f"weights/{name}": value for name, value in module.state_dict().items()}
    arrays |= {
        "inputs": inputs,
        "initial_state": initial,
        "states": torch.stack(trajectory[1:]),
        "jacobian": jacobian,
    }
    return {name: value.numpy() for name, value in arrays.items()}


def main() -> None:
    """Write every case into one npz file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parents[2] / "tests/golden/torch_cells.npz"
    )
    parser.add_argument("--seed", type=int, default=20240611)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(options.seed)

    golden: dict[str, np.ndarray] = {}
    for kind, (module_class, keywords) in KINDS.items():
        for layers, bias in LAYERS_AND_BIAS:
            module = module_class(INPUT, HIDDEN, num_layers=layers, bias=bias, **keywords).double()
            draw_weights(module, generator)
            case = f"{kind}_{layers}layer_{'bias' if bias else 'nobias'}"
            for name, value in record_case(module, generator).items():
                golden[f"{case}/{name}"] = value
    np.savez_compressed(options.output, **golden)
    print(f"{len(golden)} arrays, {options.output.stat().st_size} bytes: {options.output.name}")


if __name__ == "__main__":
    main()
