"""Train a GRU in PyTorch to predict Lorenz's equations; its closed loop then has their exponents.

The network learns by teacher forcing: it reads the series and predicts the next value. Its
weights are written with PyTorch's names, and lyapy needs no PyTorch to follow the closed loop:

    python examples/train_lorenz_gru.py lorenz_gru.safetensors
    lyapy spectrum lorenz_gru.safetensors --closed-loop --steps 50000 --transient 1000 -k 4 \
        --dt 0.02 -o lorenz_gru.h5
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))
from lorenz_reservoir import lorenz

UNITS, WINDOW, BATCH = 32, 24, 256
# predictions of a window that do not count, as its state began at zero
BEGINNING = 4


class Predictor(torch.nn.Module):
    """A GRU and a linear read-out of the next value."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.GRU(3, UNITS, batch_first=True)
        self.readout = torch.nn.Linear(UNITS, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the prediction after each value of x (batch, time, 3)."""
        return self.readout(self.rnn(x)[0])


def train(series: torch.Tensor, updates: int, seed: int = 0) -> Predictor:
    """Return a model of the normalized series (T, 3), by Adam with a rate that falls to zero."""
    torch.manual_seed(seed)
    model = Predictor().double()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates, eta_min=1e-6)
    windows = series.unfold(0, WINDOW + 1, 1).transpose(1, 2)
    began = time.monotonic()
    for update in range(updates):
        window = windows[torch.randint(len(windows), (BATCH,))]
        error = model(window[:, :-1])[:, BEGINNING:] - window[:, 1 + BEGINNING :]
        loss = error.square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if update % 500 == 0 or update == updates - 1:
            seconds = time.monotonic() - began
            print(f"{update:6d} error {loss.sqrt().item():.2e} after {seconds:.0f} s", flush=True)
    return model


def main() -> None:
    """Make the series, train, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="weights file to write (.safetensors)")
    parser.add_argument("--series", type=int, default=50_000, help="values to learn from")
    parser.add_argument("--updates", type=int, default=20_000, help="steps of the optimizer")
    options = parser.parse_args()
    torch.set_num_threads(1)
    series = lorenz(options.series)
    series = (series - series.mean(axis=0)) / series.std(axis=0)
    model = train(torch.from_numpy(np.ascontiguousarray(series)), options.updates)
    save_file({name: value.float() for name, value in model.state_dict().items()}, options.output)
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
