"""Draw the figures of docs/paper.md from the results.

Needs no torch and no weights::

    python examples/paper/figures.py examples/paper/results --output docs/images
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from associate import METRIC, NEAR, groups
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lyapy import Sweep
from lyapy.pictures import BLUE, GREY, RED, name_axes, new_figure
from lyapy.sweeps.plots import plot_metric, plot_spectra

# one training of each group, whose spectra are shown over time
SHOWN = {"p": 0.12, "lr": 0.003}
TITLES = {
    "text_lstm_64": "LSTM, text",
    "text_gru_64": "GRU, text",
    "text_tanh_64": "tanh, text",
    "digits_lstm_64": "LSTM, digits",
    "digits_gru_64": "GRU, digits",
}
UNIT = "nats per step"


def training_figure(sweeps: dict[str, Sweep]) -> Figure:
    """Draw spectra against their index, over the epochs of one training in each group."""
    figure = new_figure(11.0, 6.0)
    for place, (name, sweep) in enumerate(sweeps.items(), 1):
        axes = figure.add_subplot(2, 3, place)
        plot_spectra(sweep.where(**SHOWN), "epoch", axes)
        axes.set_title(TITLES[name], loc="left")
    return figure


def initialisation_figure(sweeps: dict[str, Sweep]) -> Figure:
    """Draw largest and mean exponent against p, before and after training."""
    figure = new_figure(13.0, 5.4)
    for column, (name, sweep) in enumerate(sweeps.items(), 1):
        for line, feature in enumerate(("largest", "mean")):
            axes = figure.add_subplot(2, len(sweeps), line * len(sweeps) + column)
            _draw_over_p(axes, sweep, feature)
            axes.set_title(TITLES[name] if line == 0 else "", loc="left")
            y = rf"Largest exponent ({UNIT})" if line == 0 else f"Mean exponent ({UNIT})"
            name_axes(axes, "$p$", y if column == 1 else "")
    figure.axes[0].legend(frameon=False, fontsize="small")
    return figure


def _draw_over_p(axes: Axes, sweep: Sweep, feature: str) -> None:
    last = int(sweep.column("epoch").max())
    axes.axhline(0.0, color=GREY, lw=0.8, zorder=0)
    for epoch, colour, label in ((0, BLUE, "as drawn"), (last, RED, f"after {last} epochs")):
        chosen = sweep.where(epoch=epoch)
        p, y = chosen.column("p"), chosen.features()[feature]
        axes.plot(p, y, "o", color=colour, ms=4, alpha=0.6, label=label)
        values = np.unique(p)
        axes.plot(values, [np.nanmean(y[p == value]) for value in values], color=colour, lw=1)
    axes.set_xscale("log")
    axes.set_xticks([0.04, 0.1, 0.24, 1.0, 3.0], ["0.04", "0.1", "0.24", "1", "3"])
    axes.minorticks_off()


def loss_figure(sweeps: dict[str, Sweep], feature: str) -> Figure:
    """Draw the final loss against a feature after training; below with p beyond the paper's."""
    figure = new_figure(15.0, 6.0)
    for column, (name, sweep) in enumerate(sweeps.items(), 1):
        trained = sweep.where(epoch=int(sweep.column("epoch").max()))
        near = Sweep([row for row in trained.rows if row.metadata["p"] <= NEAR])
        for line, chosen in enumerate((near, trained)):
            axes = figure.add_subplot(2, len(sweeps), line * len(sweeps) + column)
            plot_metric(chosen, METRIC, feature, axes)
            which = "all $p$" if line else rf"$p \leq {NEAR}$"
            axes.set_title(f"{TITLES[name]}, {which}\n{axes.get_title()}", fontsize="small")
            axes.set_ylabel("Final loss (nats)" if column == 1 else "")
    return figure


def wrong_figure(results: Path) -> Figure:
    """Draw what the wrong Jacobians make of the text's LSTMs."""
    with (results / "wrong_jacobians.csv").open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["cell"] == "lstm"]
    lines = [line for line in lines if line["task"] == "text" and line["n"] == "64"]
    figure = new_figure(11.0, 3.6)
    last = max(int(line["epoch"]) for line in lines)
    left, middle, right = figure.subplots(1, 3)
    for axes, epoch in ((left, 0), (middle, last)):
        axes.axhline(0.0, color=GREY, lw=0.8, zorder=0)
        for line in lines:
            shown = all(float(line[name]) == value for name, value in SHOWN.items())
            if shown and int(line["epoch"]) == epoch:
                exponents = [float(x) for x in line["exponents"].split()]
                axes.plot(np.arange(1, len(exponents) + 1), exponents, label=line["kind"], lw=1.2)
        name_axes(axes, "Index $i$", rf"Exponent $\lambda_i$ ({UNIT})")
        axes.set_title("as drawn" if epoch == 0 else f"after {last} epochs", loc="left")
    left.legend(frameon=False, fontsize="small")
    _draw_against_right(right, lines, last)
    return figure


def _draw_against_right(axes: Axes, lines: list[dict[str, str]], last: int) -> None:
    key = ("cell", "n", "p", "lr", "seed", "epoch")
    right = {tuple(x[k] for k in key): float(x["largest"]) for x in lines if x["kind"] == "right"}
    for number, kind in enumerate(("transposed", "h only", "h only, transposed"), 1):
        found = [x for x in lines if x["kind"] == kind and int(x["epoch"]) == last]
        x = [right[tuple(line[k] for k in key)] for line in found]
        axes.plot(x, [float(line["largest"]) for line in found], "o", color=f"C{number}", ms=4)
    axes.axline((0.0, 0.0), slope=1.0, color=GREY, lw=0.8)
    name_axes(axes, rf"Right $\lambda_1$ ({UNIT})", r"$\lambda_1$ of the wrong Jacobians")


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("results", type=Path, nargs="?", default=here / "results")
    images = here.parents[1] / "docs" / "images"
    parser.add_argument("--output", type=Path, default=images, metavar="FOLDER")
    options = parser.parse_args()
    sweeps = {name: s for name, s in groups(options.results).items() if name in TITLES}
    sweeps = {name: sweeps[name] for name in TITLES if name in sweeps}
    figures = {
        "training": training_figure(sweeps),
        "initialisation": initialisation_figure(sweeps),
        "loss_largest": loss_figure(sweeps, "largest"),
        "loss_mean": loss_figure(sweeps, "mean"),
        "wrong_jacobians": wrong_figure(options.results),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.output / f"paper_{name}.png", dpi=110)


if __name__ == "__main__":
    main()
