"""Tell how the final loss goes with the spectra, at the beginning of training and later.

Needs no torch and no weights, only the results of `spectra.py`::

    python examples/paper/associate.py examples/paper/results

writes ``correlations.csv``, ``predictions.csv`` and ``wrong_correlations.csv`` there, and prints
them as tables. The last one is of the spectra of `wrong_jacobians.py`.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from experiments import Run
from scipy.stats import rankdata

from lyapy import Sweep
from lyapy.sweeps.association import Correlation, associations, correlate, predictions

METRIC = "final_loss"
# beyond it the paper did not look
NEAR = 0.24
FEWEST = 8
FOLDS = 5
# known without a spectrum
BASELINE = ("lr",)
SHOWN = ("largest", "mean")


def groups(results: Path) -> dict[str, Sweep]:
    """Return the sweeps of all tasks, cells and sizes."""
    return {path.stem: Sweep.load(path) for path in sorted(results.glob("*.h5"))}


def selections(sweep: Sweep) -> Iterator[tuple[str, int, Sweep]]:
    """Yield rows of different trainings, with the settings that they share.

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
        for found in predictions(chosen, METRIC, folds=FOLDS, baseline=BASELINE):
            line = {"group": name, "drawn": drawn, "epoch": epoch, "features": found.features}
            line["networks"] = found.networks
            line |= {"r_squared": f"{found.r_squared:.4f}", "error": f"{found.error:.4f}"}
            more = found.increment or ("", "", "")
            named = zip(("increment", "increment_low", "increment_high"), more, strict=True)
            yield line | {key: x if x == "" else f"{x:.4f}" for key, x in named}


def wrong_lines(results: Path) -> Iterator[dict[str, object]]:
    """Yield for each group and kind of Jacobian how far λ₁ is off, and the loss next to it."""
    rows = read_table(results / "wrong_jacobians.csv")
    losses = {key_of(x): float(x[METRIC]) for x in read_table(results / "losses.csv")}
    right = {key_of(row): float(row["largest"]) for row in rows if row["kind"] == "right"}
    last = max(int(row["epoch"]) for row in rows)
    trained = [row for row in rows if int(row["epoch"]) == last and float(row["p"]) <= NEAR]
    for task, cell, n, kind in dict.fromkeys(
        (x["task"], x["cell"], x["n"], x["kind"]) for x in trained
    ):
        these = {"task": task, "cell": cell, "n": n, "kind": kind}
        mine = [row for row in trained if these.items() <= row.items()]
        if len(mine) < FEWEST:
            continue
        x = np.array([float(row["largest"]) for row in mine])
        y = np.array([losses[key_of(row)] for row in mine])
        off = x - [right[key_of(row)] for row in mine]
        line = {"group": f"{task}_{cell}_{n}", "kind": kind, "networks": len(mine)}
        line |= {"largest": f"{x.mean():.4f}", "off": f"{off.mean():.4f}"}
        line["most_off"] = f"{np.abs(off).max():.4f}"
        for name, numbers in (
            ("pearson", correlate(x, y)),
            ("spearman", correlate(rankdata(x), rankdata(y), ranks=True)),
        ):
            line |= {f"{name}_{field}": f"{v:.4f}" for field, v in numbers._asdict().items()}
        yield line


def key_of(row: dict[str, str]) -> tuple[str, ...]:
    """Return the features of a network at one epoch."""
    return tuple(row[name] for name in (*Run._fields, "epoch"))


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table as dicts of text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, lines: list[dict[str, object]]) -> None:
    """Write lines that have the same columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def with_interval(line: dict[str, object], kind: str) -> str:
    """Return a correlation for people."""
    value, low, high = (float(str(line[f"{kind}_{x}"])) for x in ("value", "low", "high"))
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")


def main() -> None:
    """Write and print the tables."""
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
            both = [with_interval(line, kind) for kind in ("pearson", "spearman")]
            print(f"| {' | '.join([*first, *both])} |")
    print("\n| group | drawn | epoch | features | networks | R squared | error |")
    print("|---|---|---|---|---|---|---|")
    for line in guesses:
        print(f"| {' | '.join(str(x) for x in line.values())} |")
    wrong = list(wrong_lines(results))
    write_table(results / "wrong_correlations.csv", wrong)
    print("\n| group | kind | networks | mean λ₁ | mean error | largest | Pearson | Spearman |")
    print("|---|---|---|---|---|---|---|---|")
    for line in wrong:
        first = [str(line[x]) for x in ("group", "kind", "networks", "largest", "off", "most_off")]
        shown = [
            *(x.replace("-", "−") for x in first),
            with_interval(line, "pearson"),
            with_interval(line, "spearman"),
        ]
        print(f"| {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
