"""Train a GRU in PyTorch to remember the last pulse, and keep checkpoints and losses.

Pulses of ±1 come at random; the network shall always say the sign of the last one. The files of
the tutorials were written by

    python examples/train_flip_flop.py examples/flip_flop
"""

import argparse
import csv
from pathlib import Path

import torch
from safetensors.torch import save_file

UNITS, LENGTH, BATCH = 16, 60, 64
# updates after which a checkpoint is kept
KEPT = (*range(0, 100, 5), *range(100, 200, 10), *range(215, 501, 15))


class Memory(torch.nn.Module):
    """A GRU and a linear read-out."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.GRU(1, UNITS, batch_first=True)
        self.readout = torch.nn.Linear(UNITS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output after each input of x (batch, time, 1)."""
        return self.readout(self.rnn(x)[0])


def pulses(batch: int, length: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Return inputs (batch, length, 1), and the sign of the last pulse at each step."""
    chance = torch.rand(batch, length, 1, generator=generator)
    x = (chance < 0.05).double() - (chance > 0.95).double()
    x[:, 0] = torch.sign(torch.rand(batch, 1, generator=generator) - 0.5)
    last = torch.zeros(batch, 1, dtype=x.dtype)
    wanted = torch.empty_like(x)
    for t in range(length):
        last = torch.where(x[:, t] != 0, x[:, t], last)
        wanted[:, t] = last
    return x, wanted


def main() -> None:
    """Train, and write a checkpoint and a line of losses.csv after each number of updates kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for the checkpoints, made if missing")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = Memory().double()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    test = pulses(256, 200, torch.Generator().manual_seed(1))
    with open(folder / "losses.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["update", "loss"])
        for update in range(KEPT[-1] + 1):
            if update in KEPT:
                with torch.no_grad():
                    loss = (model(test[0]) - test[1]).square().mean().item()
                table.writerow([update, f"{loss:.6f}"])
                weights = {name: value.float() for name, value in model.state_dict().items()}
                save_file(weights, folder / f"update{update:03d}.safetensors")
            x, wanted = pulses(BATCH, LENGTH, generator)
            error = (model(x) - wanted).square().mean()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()


if __name__ == "__main__":
    main()
