"""From a PyTorch model to its spectrum, by way of a file; the two halves may run anywhere.

Where torch is: ``python examples/spectrum_of_a_torch_model.py export``.
Where lyapy is: ``python examples/spectrum_of_a_torch_model.py spectrum``.
"""

import argparse

import numpy as np

STEPS, UNITS, INPUTS = 2000, 32, 4


def export() -> None:
    """Save weights, inputs and, for a check, the state in which torch ends."""
    import torch
    from safetensors.torch import save_file

    class Model(torch.nn.Module):
        """Two GRU layers and a read-out, in place of a trained model."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.GRU(INPUTS, UNITS, num_layers=2)
            self.readout = torch.nn.Linear(UNITS, 1)

    torch.manual_seed(0)
    model = Model()
    # either file will do; weights only, no pickled module
    torch.save(model.state_dict(), "model.pt")
    save_file(model.state_dict(), "model.safetensors")

    inputs = torch.randn(STEPS, INPUTS)
    with torch.no_grad():
        _, state = model.rnn(inputs)
    np.savez("run.npz", inputs=inputs.numpy(), state=state.flatten().numpy())


def spectrum() -> None:
    """Load the file of `export` and compute the spectrum."""
    import lyapy

    network = lyapy.load("model.pt")
    run = np.load("run.npz")
    result = lyapy.lyapunov_spectrum(network, run["inputs"], transient=100)
    # the same forward pass, or the spectrum is that of another network
    print("states differ by", np.abs(result.final_state[0] - run["state"]).max())
    print(result)


if __name__ == "__main__":
    halves = {"export": export, "spectrum": spectrum}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("half", choices=halves)
    halves[parser.parse_args().half]()
