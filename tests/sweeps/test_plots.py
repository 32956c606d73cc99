"""Plots of sweeps of every kind: curves, maps, points and labels."""

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.sweeps.merged_file import write_merged
from lyapy.sweeps.plots import (
    plot_components,
    plot_heat_map,
    plot_measure,
    plot_metric,
    plot_spectra,
    plot_sweep,
)
from tests.sweeps.test_reading import SPECTRA, rows, sweep_with_loss

pytestmark = pytest.mark.usefixtures("closed_figures")


def training():
    """Return two learning rates, three gains and four epochs, of which the loss follows λ₁."""
    spectra, columns = [], {"lr": [], "gain": [], "epoch": [], "loss": []}
    for lr in (0.1, 0.01):
        for gain in (0.5, 1.0, 2.0):
            for epoch in range(4):
                largest = np.log(gain) + 3 * lr * (3 - epoch)
                spectra.append(largest - 2.5 * np.linspace(0, 1, 12) ** (1 + 0.3 * epoch))
                for name, value in [("lr", lr), ("gain", gain), ("epoch", epoch)]:
                    columns[name].append(value)
                columns["loss"].append(1 + largest**2)
    return lyapy.Sweep(rows(spectra, **columns))


def curves(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2]


def test_spectra_are_drawn_against_the_index_and_coloured():
    sweep = training()
    axes = plot_spectra(sweep, "epoch")
    found = curves(axes)
    assert len(found) == 24
    np.testing.assert_array_equal(found[5].get_xdata(), range(1, 13))
    np.testing.assert_array_equal(found[5].get_ydata(), sweep.exponents[5])
    colours = [line.get_color() for line in found]
    assert colours[0] == colours[4] != colours[1]
    assert "Index" in axes.get_xlabel() and "nats per step" in axes.get_ylabel()


def test_spectra_of_different_size_stand_at_shares():
    axes = plot_spectra(lyapy.Sweep(rows([[0.1, -1, -2], [0.1, -1, -2, -3]])))
    assert "Position" in axes.get_xlabel()
    np.testing.assert_allclose(curves(axes)[1].get_xdata(), [1 / 8, 3 / 8, 5 / 8, 7 / 8])


def test_the_heat_map_has_the_mean_largest_exponent_of_each_pair():
    sweep = training()
    axes = plot_heat_map(sweep, "lr", "gain")
    drawn = np.asarray(axes.get_images()[0].get_array())
    of = sweep.where(lr=0.01, gain=2.0).column("largest")
    assert len(of) == 4
    assert drawn[2, 0] == pytest.approx(of.mean(), rel=1e-12)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0.5", "1", "2"]
    assert "up to 4 networks" in axes.figure.axes[1].get_ylabel()


def test_a_heat_map_of_many_epochs_stays_legible():
    epochs = list(range(30))
    axes = plot_heat_map(
        lyapy.Sweep(rows([[0.1]] * 30, epoch=epochs, lr=[0.1] * 30)), "epoch", "lr"
    )
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(e) for e in epochs[::3]]
    assert axes.get_xticks().tolist() == epochs[::3] and not axes.texts


def test_networks_whose_measure_is_undetermined_are_counted():
    sweep = lyapy.Sweep(rows([[0.1], [0.2], [0.3]], gain=[1, 2, 3]))
    finished = [row for row in sweep if row.has_result]
    for row, value in zip(finished, (1.5, np.nan, np.nan), strict=True):
        row.columns["kaplan_yorke_dimension"] = value
    axes = plot_measure(sweep, "gain", "kaplan_yorke_dimension")
    assert axes.get_title() == "not shown: 2 of 3 networks, for which it is undetermined"
    assert plot_measure(sweep, "gain").get_title() == ""


def test_a_few_of_many_are_drawn_by_name():
    sweep = training()
    chosen = sweep[[sweep.names[5], sweep.names[2]]]
    assert chosen.names == [sweep.names[5], sweep.names[2]] == sweep[[5, 2]].names
    axes = chosen.plot()
    for row, curve in zip(chosen, curves(axes), strict=True):
        np.testing.assert_array_equal(curve.get_ydata(), row.exponents)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == sorted(chosen.names)


def test_a_pair_that_no_network_has_is_left_empty():
    sweep = lyapy.Sweep(rows([[0.1], [0.2]], a=["x", "y"], b=[1, 2]))
    drawn = plot_heat_map(sweep, "a", "b").get_images()[0].get_array()
    np.testing.assert_allclose(np.ma.filled(drawn, np.nan), [[0.1, np.nan], [np.nan, 0.2]])


def test_a_metric_stands_against_its_feature():
    sweep = sweep_with_loss()
    axes = plot_metric(sweep, "loss", "mean")
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), sweep.column("loss")[:40])
    assert axes.get_title().startswith("Pearson 1.00 (")
    assert plot_metric(SWEEPS["all the same"][0](), "loss").get_title() == ""


def test_a_measure_stands_over_a_column_next_to_a_metric():
    sweep = training()
    axes = plot_measure(sweep.where(gain=2.0), "epoch", by="lr", metric="loss", lw=2.5)
    lines = curves(axes)[::2]
    assert [line.get_linewidth() for line in lines] == [2.5, 2.5]
    chosen = sweep.where(gain=2.0, lr=0.1)
    np.testing.assert_array_equal(lines[1].get_xdata(), range(4))
    np.testing.assert_allclose(lines[1].get_ydata(), chosen.column("largest"))
    left, right = axes.figure.axes
    np.testing.assert_allclose(curves(right)[1].get_ydata(), chosen.column("loss"))
    assert right.get_ylabel() == "loss (dashed)" and left.get_xlabel() == "epoch"
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["lr = 0.01", "lr = 0.1"]


def test_a_measure_per_dimension_is_averaged_over_networks():
    sweep = training()
    axes = plot_measure(sweep, "gain", "kaplan_yorke_dimension", per_dimension=True, label="D_KY")
    line = next(line for line in curves(axes))
    found = sweep.where(gain=0.5).column("kaplan_yorke_dimension") / 12
    assert line.get_ydata()[0] == pytest.approx(np.nanmean(found))
    assert axes.get_ylabel() == "Kaplan-Yorke dimension / $D$"
    assert axes.get_legend_handles_labels()[1] == ["D_KY"]
    with pytest.raises(ValueError, match="loss: no network has a finite value of it and of gain"):
        plot_measure(lyapy.Sweep(rows([[1.0]], gain=[1.0], loss=[np.nan])), "gain", "loss")


def test_points_are_coloured_by_text_or_numbers():
    columns = {"loss": [1.0, 2.0, 4.0, 5.0], "task": ["a", "b", "a", "b"]}
    sweep = lyapy.Sweep(rows([[x, -1] for x in (0.1, 0.2, 0.3, 0.4)], **columns))
    axes = plot_metric(sweep, "loss", color_by="task")
    assert axes.get_legend_handles_labels()[1] == ["task = a", "task = b"]
    points = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    np.testing.assert_array_equal(points[0].get_ydata(), [1, 4])
    assert points[0].get_color() != points[1].get_color()
    assert axes.get_legend().get_title().get_text().startswith("Pearson 0.99")
    many = lyapy.Sweep(rows([[x / 10, -1] for x in range(8)], loss=range(8), epoch=range(8)))
    bar = plot_metric(many, "loss", color_by="epoch").figure.axes[1]
    assert bar.get_ylabel() == "epoch"


def test_few_networks_are_named_and_a_sweep_of_one_colour_is_labelled():
    sweep = lyapy.Sweep(rows([[0.1, -1], [0.2, -1]]))
    assert sweep.plot().get_legend_handles_labels()[1] == ["net000", "net001"]
    axes = sweep.plot(label="these")
    plot_spectra(training(), ax=axes, label="those")
    assert axes.get_legend_handles_labels()[1] == ["these", "those"]
    with pytest.raises(ValueError, match="kind is 'loss'; it must be one of spectra, measure"):
        sweep.plot("loss")


def test_components_are_those_of_the_covariance():
    sweep = training()
    axes = plot_components(sweep, "loss", length=8)
    drawn = np.asarray(axes.collections[0].get_offsets())
    values = np.linalg.eigvalsh(np.cov(sweep.resampled(8)[:-1].T))
    assert drawn.var(axis=0, ddof=1) == pytest.approx(values[::-1][:2], rel=1e-9)
    assert f"{values[-1] / values.sum():.0%}" in axes.get_xlabel()
    (points,) = plot_components(SWEEPS["one exponent"][0]()).collections
    np.testing.assert_array_equal(points.get_offsets()[:, 1], 0.0)


SWEEPS = {
    "training": (training, "loss"),
    "without metric": (training, None),
    "sizes, dead, no metadata": (lambda: lyapy.Sweep(rows(SPECTRA)), None),
    "one exponent": (lambda: lyapy.Sweep(rows([[0.1], [0.2], [0.3]], loss=[1, 2, 3])), "loss"),
    "all the same": (lambda: lyapy.Sweep(rows([[0.1, -1]] * 4, loss=[1.0] * 4)), "loss"),
}


@pytest.mark.parametrize("kind", SWEEPS)
def test_every_kind_of_sweep_is_drawn(tmp_path, kind):
    make, metric = SWEEPS[kind]
    path = tmp_path / "picture.png"
    plot_sweep(make(), path, metric=metric)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_plots_without_data_are_refused(tmp_path):
    sweep, empty = training(), lyapy.Sweep(rows([]))
    with pytest.raises(ValueError, match="has no spectrum"):
        plot_sweep(empty, tmp_path / "picture.png")
    with pytest.raises(ValueError, match="'eboch' is no column"):
        plot_spectra(sweep, "eboch")
    with pytest.raises(ValueError, match="feature is 'x'"):
        plot_metric(sweep, "loss", "x")
    with pytest.raises(ValueError, match="three spectra"):
        plot_components(lyapy.Sweep(rows([[0.1]])))
    with pytest.raises(ValueError, match="unsupported type of plot file"):
        plot_sweep(sweep, tmp_path / "picture.jpeg")
    assert list(tmp_path.iterdir()) == []


def test_the_command_draws_a_sweep(tmp_path, capsys):
    write_merged(training().rows, {}, tmp_path / "sweep.h5")
    words = ["--metric", "loss", "--map", "lr", "gain"]
    assert main(["plot", str(tmp_path / "sweep.h5"), *words]) == 0
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
