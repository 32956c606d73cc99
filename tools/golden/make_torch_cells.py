"""Write ``torch_cells.npz``: results of torch's recurrent modules, for the cell tests.

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

import numpy as np
import torch
from torch import nn

from . import GOLDEN

STEPS, HIDDEN, INPUT, PROJECTION, RECURRENT_GAIN = 5, 5, 3, 2, 1.5
KINDS = {
    "rnn_tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}),
    "gru": (nn.GRU, {}),
    "lstm": (nn.LSTM, {}),
    "lstm_proj": (nn.LSTM, {"proj_size": PROJECTION}),
}
LAYERS_AND_BIAS = [(1, True), (1, False), (2, True), (2, False), (3, True), (3, False)]


def draw_weights(module: nn.RNNBase, generator: torch.Generator) -> None:
    """Replace torch's small initial weights by ones that bend the nonlinearities."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            draw = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            if name.startswith("bias"):
                weight.copy_(0.5 * draw)
            else:
                gain = 1.0 if name.startswith("weight_ih") else RECURRENT_GAIN
                weight.copy_(gain * draw / weight.shape[1] ** 0.5)


def advance(module: nn.RNNBase, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    per_layer = state.reshape(module.num_layers, -1)
    if not isinstance(module, nn.LSTM):
        return module(x[None], per_layer)[1].reshape(-1)
    width = module.proj_size or module.hidden_size
    h, c = per_layer[:, :width].contiguous(), per_layer[:, width:].contiguous()
    _, (h, c) = module(x[None], (h, c))
    return torch.cat([h, c], dim=1).reshape(-1)


def record_case(module: nn.RNNBase, generator: torch.Generator) -> dict[str, np.ndarray]:
    per_layer = module.proj_size or module.hidden_size
    if isinstance(module, nn.LSTM):
        per_layer += module.hidden_size
    inputs = torch.randn(STEPS, INPUT, generator=generator, dtype=torch.float64)
    size = module.num_layers * per_layer
    initial = 0.5 * torch.randn(size, generator=generator, dtype=torch.float64)
    trajectory = [initial]
    with torch.no_grad():
        for x in inputs:
            trajectory.append(advance(module, x, trajectory[-1]))
    step = lambda state: advance(module, inputs[-1], state)  # noqa: E731
    jacobian = torch.autograd.functional.jacobian(step, trajectory[-2])
    arrays = {f"weights/{name}": value for name, value in module.state_dict().items()}
    arrays |= {"inputs": inputs, "initial_state": initial}
    arrays |= {"states": torch.stack(trajectory[1:]), "jacobian": jacobian}
    return {name: value.numpy() for name, value in arrays.items()}


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(20240611)
    golden: dict[str, np.ndarray] = {}
    for kind, (module_class, keywords) in KINDS.items():
        for layers, bias in LAYERS_AND_BIAS:
            module = module_class(INPUT, HIDDEN, num_layers=layers, bias=bias, **keywords).double()
            draw_weights(module, generator)
            case = f"{kind}_{layers}layer_{'bias' if bias else 'nobias'}"
            for name, value in record_case(module, generator).items():
                golden[f"{case}/{name}"] = value
    np.savez_compressed(GOLDEN / "torch_cells.npz", **golden)


if __name__ == "__main__":
    main()
