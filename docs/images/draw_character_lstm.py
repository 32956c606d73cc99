"""Draw ``character_lstm.png``: the spectrum of the shipped network, and its text by contraction.

Run from anywhere: ``python docs/images/draw_character_lstm.py``; it takes about three minutes.
"""

from __future__ import annotations

import warnings
from importlib.resources import files
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from safetensors import safe_open

import lyapy

DATA = files("lyapy") / "data"
WEIGHTS = str(DATA / "character_lstm.safetensors")
LEADING = 16
OPENING = '"the one in pink'
ROWS, COLUMNS = 4, 92

INK, FAINT = "#22313f", "#c9d1d8"
BY_INDEX = matplotlib.colormaps["viridis"]
# the pale half of a map, so that ink stays readable on every colour
BY_CONTRACTION = ListedColormap(matplotlib.colormaps["YlOrRd"](np.linspace(0.0, 0.62, 256)))
STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": INK,
    "ytick.color": INK,
} | {f"{axis}tick.{kind}.size": 0 for axis in "xy" for kind in ("major", "minor")}


def draw_convergence(axes: Axes, spectrum: lyapy.Spectrum) -> None:
    """Draw the mean exponents over the first steps."""
    means = spectrum.convergence()
    for i in reversed(range(means.shape[1])):
        colour = BY_INDEX(i / (means.shape[1] - 1))
        axes.plot(spectrum.growth_steps, -means[:, i], color=colour, linewidth=0.8)
    axes.set(xscale="log", xlim=(64, spectrum.steps), yscale="log", ylim=(45, 2.5e-4))
    axes.set_yticks([1e-3, 1e-2, 1e-1, 1, 10], ["−0.001", "−0.01", "−0.1", "−1", "−10"])
    axes.set_xlabel("characters read")
    axes.set_ylabel("exponents λᵢ  (nats per character)")


def draw_exponents(axes: Axes, spectrum: lyapy.Spectrum) -> None:
    """Draw the exponents on the same axis; triangles are upper bounds."""
    number = np.arange(1, len(spectrum.exponents) + 1)
    colours = BY_INDEX((number - 1) / (len(number) - 1))
    contraction, resolved = -spectrum.exponents, spectrum.resolved
    axes.errorbar(
        number[resolved],
        contraction[resolved],
        spectrum.standard_error[resolved],
        fmt="none",
        ecolor=FAINT,
        elinewidth=2.5,
    )
    axes.scatter(
        number[resolved], contraction[resolved], s=14, c=colours[resolved], linewidths=0, zorder=3
    )
    bounds = axes.scatter(
        number[~resolved],
        contraction[~resolved],
        s=17,
        marker="v",
        facecolors="none",
        edgecolors=colours[~resolved],
        linewidths=0.9,
    )
    axes.set(xlim=(-3, 133))
    axes.tick_params(labelleft=False)
    axes.set_xlabel("number i of 128")
    if not resolved.all():
        axes.legend([bounds], ["upper bounds"], frameon=False, loc="lower left", handletextpad=0.1)
    time = round(-1 / spectrum.largest, -1)
    axes.annotate(
        f"a perturbation of one direction\nfades e-fold in about {time:.0f} characters",
        (1, contraction[0]),
        (14, contraction[0]),
        va="center",
        linespacing=1.4,
        arrowprops={"arrowstyle": "-", "color": FAINT, "shrinkB": 5},
    )
    times = axes.twinx()
    low, high = axes.get_ylim()
    times.set(yscale="log", ylim=(1 / low, 1 / high))
    times.set_yticks([1000, 100, 10, 1, 0.1], ["1000", "100", "10", "1", "0.1"])
    times.set_ylabel("1 / |λᵢ|  (characters)")


def draw_text(figure: Figure, axes: Axes, text: str, contraction: list[float]) -> None:
    """Write the text, each character coloured by its contraction of the leading directions."""
    # a character may also stretch these directions, a little
    least = 0.3
    norm = LogNorm(least, 20.0)
    for place, character in enumerate(text.replace("\n", "¶")):
        row, column = divmod(place, COLUMNS)
        colour = BY_CONTRACTION(norm(max(contraction[place], least)))
        axes.add_patch(plt.Rectangle((column, -row), 1.02, 0.9, facecolor=colour, linewidth=0))
        axes.text(
            column + 0.5,
            0.42 - row,
            character,
            ha="center",
            va="center",
            family="DejaVu Sans Mono",
            fontsize=8.8,
        )
    axes.set(xlim=(0, COLUMNS), ylim=(1 - ROWS, 1))
    axes.set_axis_off()
    scale = plt.cm.ScalarMappable(norm, BY_CONTRACTION)
    bar = figure.colorbar(scale, ax=axes, ticks=[0.3, 1, 3, 10], aspect=9, pad=0.01)
    bar.ax.set_yticklabels(["0.3", "1", "3", "10"])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    bar.set_label("nats")


def main() -> None:
    """Compute and draw."""
    network = lyapy.load(WEIGHTS)
    with safe_open(WEIGHTS, "numpy") as file:
        vocabulary, embedding = file.metadata()["vocabulary"], file.get_tensor("embedding.weight")
    text = (DATA / "excerpt.txt").read_text(encoding="utf-8")
    inputs = embedding[[vocabulary.index(character) for character in text]]
    with warnings.catch_warnings():
        # the picture itself shows which exponents are bounds
        warnings.simplefilter("ignore", RuntimeWarning)
        spectrum = lyapy.lyapunov_spectrum(network, inputs, transient=200)

    # one step at a time, each run going on from the one before
    first = text.index(OPENING)
    last = first + ROWS * COLUMNS
    run = lyapy.lyapunov_spectrum(network, inputs[:first], k=LEADING)
    contraction = []
    for x in inputs[first:last]:
        run = lyapy.lyapunov_spectrum(
            network, x[None], initial_state=run.final_state, frame=run.final_frame[0]
        )
        contraction.append(-run.growth.sum())

    plt.rcParams.update(STYLE)
    figure = plt.figure(figsize=(10, 5.6), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    above, below = figure.subfigures(2, 1, height_ratios=[3, 1.05])
    left, right = above.subplots(1, 2, sharey=True)
    draw_convergence(left, spectrum)
    left.set_title("128 exponents of an LSTM that reads War and Peace")
    draw_exponents(right, spectrum)
    right.set_title(f"Its spectrum after {spectrum.steps} characters")
    strip = below.subplots()
    draw_text(below, strip, text[first:last], contraction)
    strip.set_title(f"Contraction of the {LEADING} leading directions by each character")
    figure.savefig(Path(__file__).with_name("character_lstm.png"), dpi=160)


if __name__ == "__main__":
    main()
