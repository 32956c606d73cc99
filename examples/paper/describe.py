"""Tell in numbers how spectra change with training.

Needs no torch and no weights, only the results of `spectra.py`::

    python examples/paper/describe.py examples/paper/results
"""

import argparse
from pathlib import Path

import numpy as np
from associate import METRIC, NEAR, groups
from figures import SHOWN

from lyapy import Sweep
from lyapy.sweeps.association import correlate

# directions that stay for more than ten steps
SLOW = -0.1


def ranges(sweep: Sweep, feature: str) -> str:
    """Return the smallest and the largest of a feature in the paper's range of p."""
    found = []
    for epoch in (0, int(sweep.column("epoch").max())):
        near = [row for row in sweep.where(epoch=epoch).rows if row.metadata["p"] <= NEAR]
        values = Sweep(near).features()[feature]
        found.append(f"{values.min():.2f} to {values.max():.2f}")
    return " | ".join(found).replace("-", "−")


def one_training(sweep: Sweep) -> str:
    """Return how one training moves its spectrum, slow directions, and the gap in the middle."""
    chosen = sweep.where(**SHOWN)
    order = np.argsort(chosen.column("epoch"))
    spectra = chosen.exponents[order]
    first, later = (np.sqrt(np.mean((a - b) ** 2)) for a, b in (spectra[:2], spectra[[1, -1]]))
    slow = np.count_nonzero(spectra > SLOW, axis=1)
    middle = spectra.shape[1] // 2
    gaps = (spectra[:, middle - 1] - spectra[:, middle])[[0, 1, 2, -1]]
    text = ", ".join(f"{gap:.2f}" for gap in gaps)
    return f"{first:.2f} | {later:.2f} | {slow[0]} | {slow[1]} | {slow[-1]} | {text}"


def within_rates(sweep: Sweep) -> str:
    """Return how loss and λ₁ go together among trainings of one learning rate, p ≤ 0.24.

    Of both, the mean of the learning rate is taken away; the interval does not know of that.
    """
    trained = sweep.where(epoch=int(sweep.column("epoch").max()))
    near = Sweep([row for row in trained.rows if row.metadata["p"] <= NEAR])
    rates, columns = near.column("lr"), [near.features()["largest"], near.column(METRIC)]
    for column in columns:
        for rate in np.unique(rates):
            column[rates == rate] -= column[rates == rate].mean()
    found = correlate(*columns)
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f}), n = {len(rates)}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path(__file__).parent / "results")
    sweeps = groups(parser.parse_args().results)
    print("| group | λ₁ as drawn | λ₁ trained | mean as drawn | mean trained |")
    print("|---|---|---|---|---|")
    for name, sweep in sweeps.items():
        print(f"| {name} | {ranges(sweep, 'largest')} | {ranges(sweep, 'mean')} |")
    print(
        "\n| group | epoch 1 | others | slow at 0 | at 1 | at the end | gap at 0, 1, 2, the end |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, sweep in sweeps.items():
        # of large networks not all epochs are there
        if len(sweep.where(**SHOWN)) > 2:
            print(f"| {name} | {one_training(sweep)} |")
    text = within_rates(sweeps["text_lstm_64"])
    print("\nLSTM, text, within learning rates:", text.replace("-", "−"))


if __name__ == "__main__":
    main()
