"""Tell how the final loss goes with the spectra, at the beginning of training and later.

Needs no torch and no weights, only the results of `spectra.py`::

    python examples/paper/associate.py examples/paper/results

writes ``correlations.csv`` and ``predictions.csv`` there, and prints them as tables.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from lyapy import Sweep
from lyapy.sweeps.association import Correlation, associations
from lyapy.sweeps.regression import predictions

METRIC = "final_loss"
# beyond it the paper did not look
NEAR = 0.24
FEWEST = 8
FOLDS = 5
SHOWN = ("largest", "mean")


def groups(results: Path) -> dict[str, Sweep]:
    """Return the sweeps of all tasks, cells and sizes."""
    return {path.stem: Sweep.load(path) for path in sorted(results.glob("*.h5"))}


def selections(sweep: Sweep) -> Iterator[tuple[str, int, Sweep]]:
    """Yield rows of which each is another training, with what they have in common.

    At the beginning, after the first epoch and after the last one, of the networks drawn within
    the paper's range of p and of all.
    """
    last = int(sweep.column("epoch").max())
    for epoch in sorted({0, 1, last}):
        chosen = sweep.where(epoch=epoch)
        near = Sweep([row for row in chosen.rows if row.metadata["p"] <= NEAR])
        for name, found in ((f"p ≤ {NEAR}", near), ("all", chosen)):
            if len(found) >= FEWEST:
                yield name, epoch, found


def correlation_lines(name: str, sweep: Sweep) -> Iterator[dict[str, object]]:
    """Yield a line for each selection and feature of the spectra."""
    for drawn, epoch, chosen in selections(sweep):
        for found in associations(chosen, METRIC):
            line = {"group": name, "drawn": drawn, "epoch": epoch, "feature": found.feature}
            line["networks"] = found.networks
            for kind in ("pearson", "spearman"):
                numbers: Correlation = getattr(found, kind)
                line |= {f"{kind}_{field}": f"{x:.4f}" for field, x in numbers._asdict().items()}
            yield line


def prediction_lines(name: str, sweep: Sweep) -> Iterator[dict[str, object]]:
    """Yield a line for each selection and regression."""
    for drawn, epoch, chosen in selections(sweep):
        for found in predictions(chosen, METRIC, folds=FOLDS):
            line = {"group": name, "drawn": drawn, "epoch": epoch, "features": found.features}
            line["networks"] = found.networks
            line |= {"r_squared": f"{found.r_squared:.4f}", "error": f"{found.error:.4f}"}
            yield line


def write_table(path: Path, lines: list[dict[str, object]]) -> None:
    """Write lines that have the same columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def told(line: dict[str, object], kind: str) -> str:
    """Return a correlation for people."""
    value, low, high = (float(str(line[f"{kind}_{x}"])) for x in ("value", "low", "high"))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")


def main() -> None:
    """Write and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path(__file__).parent / "results")
    results = parser.parse_args().results
    sweeps = groups(results)
    lines = [line for name, sweep in sweeps.items() for line in correlation_lines(name, sweep)]
    guesses = [line for name, sweep in sweeps.items() for line in prediction_lines(name, sweep)]
    write_table(results / "correlations.csv", lines)
    write_table(results / "predictions.csv", guesses)
    print("| group | drawn | epoch | feature | networks | Pearson | Spearman |")
    print("|---|---|---|---|---|---|---|")
    for line in lines:
        if line["feature"] in SHOWN:
            first = [str(line[x]) for x in ("group", "drawn", "epoch", "feature", "networks")]
            print(f"| {' | '.join([*first, told(line, 'pearson'), told(line, 'spearman')])} |")
    print("\n| group | drawn | epoch | features | networks | R squared | error |")
    print("|---|---|---|---|---|---|---|")
    for line in guesses:
        print(f"| {' | '.join(str(x) for x in line.values())} |")


if __name__ == "__main__":
    main()
