"""Draw the figures of docs/paper.md from the results.

Needs no torch and no weights::

    python examples/paper/figures.py examples/paper/results --output docs/images
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from associate import METRIC, NEAR, groups, key_of, read_table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lyapy import Sweep
from lyapy.spectra.figures import BLUE, GREY, RED, name_axes, new_figure
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
STYLES: dict[str, dict[str, Any]] = {
    "right": {"color": BLUE, "lw": 2.2},
    "transposed": {"color": "black", "lw": 1.0, "ls": ":"},
    "h only": {"color": RED, "lw": 2.2},
    "h only, transposed": {"color": "orange", "lw": 1.2, "ls": "--"},
}


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
        values = np.unique(p[np.isfinite(y)])
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
    """Draw the spectra of the text's LSTMs under the wrong Jacobians."""
    these = {"task": "text", "cell": "lstm"}
    rows = [x for x in read_table(results / "wrong_jacobians.csv") if these.items() <= x.items()]
    last = max(int(row["epoch"]) for row in rows)
    figure = new_figure(9.0, 7.0)
    (drawn, trained), (exponents, loss) = figure.subplots(2, 2)
    for axes, epoch in ((drawn, 0), (trained, last)):
        axes.axhline(0.0, color=GREY, lw=0.8, zorder=0)
        for row in rows:
            if int(row["epoch"]) == epoch and all(float(row[k]) == v for k, v in SHOWN.items()):
                values = [float(x) for x in row["exponents"].split()]
                axes.plot(
                    np.arange(1, len(values) + 1), values, label=row["kind"], **STYLES[row["kind"]]
                )
        name_axes(axes, "Index $i$", rf"Exponent $\lambda_i$ ({UNIT})")
        axes.set_title("as drawn" if epoch == 0 else f"after {last} epochs", loc="left")
    drawn.legend(frameon=False, fontsize="small")
    near = [row for row in rows if int(row["epoch"]) == last and float(row["p"]) <= NEAR]
    _draw_against_right(exponents, near)
    losses = {key_of(row): float(row[METRIC]) for row in read_table(results / "losses.csv")}
    for kind in ("right", "h only, transposed"):
        mine = [row for row in near if row["kind"] == kind]
        x, y = [float(row["largest"]) for row in mine], [losses[key_of(row)] for row in mine]
        loss.plot(x, y, "o", ms=4, color=STYLES[kind]["color"], label=kind)
    name_axes(loss, rf"$\lambda_1$ ({UNIT})", "Final loss (nats)")
    loss.legend(frameon=False, fontsize="small", loc="center")
    loss.set_title(rf"after {last} epochs, $p \leq {NEAR}$", loc="left")
    return figure


def _draw_against_right(axes: Axes, rows: list[dict[str, str]]) -> None:
    right = {key_of(row): float(row["largest"]) for row in rows if row["kind"] == "right"}
    for kind, style in STYLES.items():
        mine = [row for row in rows if row["kind"] == kind]
        x, y = [right[key_of(row)] for row in mine], [float(row["largest"]) for row in mine]
        axes.plot(x, y, "o", ms=4, color=style["color"])
    name_axes(axes, rf"Right $\lambda_1$ ({UNIT})", rf"$\lambda_1$ of each kind ({UNIT})")


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
