"""Compare an autoencoder of spectra (AeLLE) with partial least squares and the learning rate.

The autoencoder is that of Vogt, Zheng and Shlizerman 2022 (arXiv:2204.04876) and its code. It is
trained on the spectra after training and the final losses of `spectra.py`, with the folds of
`associate.py`. Needs torch and scikit-learn, some minutes::

    python examples/paper/autoencoder.py examples/paper/results

writes ``autoencoder.csv`` there and prints it as a table; ``--print`` only prints it.
"""

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from associate import BASELINE, FOLDS, METRIC, NEAR, groups, read_table, selections, write_table

from lyapy import Sweep
from lyapy.sweeps.association import increment
from lyapy.sweeps.regressions import Folds, baseline_features, left_out

# of a spectrum, as in `predictions`
LENGTH = 32
# units of the three layers to the latent space, dropout, and weights of the squared error
LAYERS, DROPOUT, WEIGHTS = (128, 64, 32), 0.1, (5.0, 5.0, 10.0, 20.0)
# networks of this p are there twice where the effect of copies is measured
TWICE = 0.12
# other divisions into folds, and other initial weights, of the networks within the paper's range
REPEATS = 4
STEPS, EVERY, RATE = 1000, 50, 1e-3


class Autoencoder:
    """Dense layers down to 32 latent numbers and up again, and a linear prediction from these.

    The training minimizes the absolute error of the spectra, and with growing weights the squared
    error of the prediction. It is that of the published code, but for the learning rate, which is
    larger for so few networks, and for its end: the step at which copies, trained without one part
    of the networks each, predict this part best. All copies are trained at once.
    """

    def __init__(
        self, splits: list[tuple[np.ndarray, np.ndarray]], seed: int = 0, steps: int = STEPS
    ) -> None:
        self.splits, self.seed, self.steps = splits, seed, steps

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Autoencoder":
        """Learn from spectra (N, L) and targets (N,)."""
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        self.center, self.scale = X.mean(axis=0), X.std()
        self.level, self.deviation = y.mean(), y.std() or 1.0
        spectra = torch.tensor((X - self.center) / self.scale, dtype=torch.float32)
        targets = torch.tensor((y - self.level) / self.deviation, dtype=torch.float32)
        learned = torch.ones(len(self.splits) + 1, len(y))
        for row, (_, unseen) in zip(learned, self.splits, strict=False):
            row[unseen] = 0.0
        sizes = [X.shape[1], *LAYERS, *LAYERS[-2::-1], X.shape[1]]
        pairs = [*pairwise(sizes), (LAYERS[-1], 1)]
        parameters = []
        for before, after in pairs:
            for shape in ((before, after), (1, after)):
                drawn = (2.0 * torch.rand(len(learned), *shape) - 1.0) / before**0.5
                parameters.append(drawn.requires_grad_())
        optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
        least = np.inf
        for step in range(self.steps):
            weight = WEIGHTS[step * len(WEIGHTS) // self.steps]
            rebuilt, guess = forward(parameters, spectra, DROPOUT)
            errors = (rebuilt - spectra).abs().mean(dim=2) + weight * (guess - targets) ** 2
            optimizer.zero_grad()
            (learned * errors / learned.sum(dim=1, keepdim=True)).sum().backward()
            optimizer.step()
            if (step + 1) % EVERY == 0:
                with torch.no_grad():
                    _, guess = forward(parameters, spectra, 0.0)
                    error = float(((1.0 - learned) * (guess - targets) ** 2).sum())
                if error < least:
                    least = error
                    self.parameters = [part[-1:].detach().clone() for part in parameters]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return predictions (N,)."""
        import torch

        spectra = torch.tensor((X - self.center) / self.scale, dtype=torch.float32)
        with torch.no_grad():
            _, guess = forward(self.parameters, spectra, 0.0)
        return self.level + self.deviation * guess[0].numpy().astype(float)


def forward(parameters: list[Any], spectra: Any, dropout: float) -> tuple[Any, Any]:
    """Return rebuilt spectra (M, N, L) and predictions (M, N) of M autoencoders."""
    from torch.nn.functional import dropout as dropped

    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    *path, prediction = layers
    x = spectra.expand(len(parameters[0]), *spectra.shape)
    for i, (matrix, bias) in enumerate(path):
        x = x @ matrix + bias
        if i == len(LAYERS) - 1:
            latent = x
            continue
        x = dropped(x.tanh() if i < len(path) - 1 else x, dropout)
    return x, (latent @ prediction[0] + prediction[1])[..., 0]


def autoencoder(folds: Folds, y: np.ndarray, features: int) -> Autoencoder:
    """Return an autoencoder whose training ends as is best within the folds."""
    return Autoencoder(folds.split(y), folds.seed)


def compared(name: str, sweep: Sweep) -> Iterator[dict[str, object]]:
    """Yield a line for each selection after training, with intervals of 95 %."""
    last = int(sweep.column("epoch").max())
    for drawn, epoch, chosen in selections(sweep):
        if epoch != last:
            continue
        X, y = chosen.resampled(LENGTH), chosen.numbers(METRIC)
        base = baseline_features({column: chosen.column(column) for column in BASELINE})
        known = np.isfinite(X).all(axis=1) & np.isfinite(y)
        X, y, base = X[known], y[known], base[known]
        folds = Folds(FOLDS, 0, None)
        tables = {"components": ("components", X), "autoencoder": (autoencoder, X)}
        squares = squared_errors(tables, y, folds, base)
        of = np.append(np.arange(len(y)), np.flatnonzero(chosen.numbers("p")[known] == TWICE))
        copied = squared_errors({"components": ("components", X[of])}, y[of], folds, None)
        line: dict[str, object] = {"group": name, "drawn": drawn, "networks": len(y)}
        for column, errors, before, after in (
            ("baseline", squares, "", "baseline"),
            ("components", squares, "", "components"),
            ("autoencoder", squares, "", "autoencoder"),
            ("difference", squares, "components", "autoencoder"),
            ("components_add", squares, "baseline", "+ components"),
            ("autoencoder_adds", squares, "baseline", "+ autoencoder"),
            ("components_copied", copied, "", "components"),
        ):
            found = increment(errors[before], errors[after], errors[""], folds)
            line |= {f"{column}_{field}": f"{x:.4f}" for field, x in found._asdict().items()}
        differences = []
        for seed in range(1, REPEATS + 1) if drawn == f"p ≤ {NEAR}" else ():
            others = Folds(FOLDS, seed, None)
            errors = squared_errors(tables, y, others, None)
            before, after, total = (errors[x] for x in ("components", "autoencoder", ""))
            differences.append(increment(before, after, total, others).value)
        line["differences"] = " ".join(f"{x:.4f}" for x in differences)
        yield line


def squared_errors(
    tables: dict[str, Any], y: np.ndarray, folds: Folds, base: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the squared errors of networks left out, by the regression's name."""
    return {key: (y - guess) ** 2 for key, guess in left_out(tables, y, folds, base).items()}


def shown(line: dict[str, Any], column: str) -> str:
    """Return a number and its interval for people."""
    value, low, high = (float(line[f"{column}_{x}"]) for x in ("value", "low", "high"))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")


def main() -> None:
    """Write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path(__file__).parent / "results")
    parser.add_argument("--print", action="store_true", help="print the table that is there")
    arguments = parser.parse_args()
    path = arguments.results / "autoencoder.csv"
    if not arguments.print:
        sweeps = groups(arguments.results)
        write_table(path, [x for name, sweep in sweeps.items() for x in compared(name, sweep)])
    columns = ("baseline", "components", "autoencoder", "difference", "autoencoder_adds")
    titles = "log lr | PLS | AeLLE | AeLLE − PLS | AeLLE adds | AeLLE − PLS, other folds"
    print(f"| group | drawn | networks | {titles} |")
    print("|---" * 9 + "|")
    for line in read_table(path):
        first = [line[x] for x in ("group", "drawn", "networks")]
        others = [*map(float, line["differences"].split())]
        last = f"{min(others):+.2f} to {max(others):+.2f}".replace("-", "−") if others else ""
        print(f"| {' | '.join([*first, *(shown(line, column) for column in columns), last])} |")


if __name__ == "__main__":
    main()
