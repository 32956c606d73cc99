"""Plots of spectra of every kind: points, errors, bounds and labels."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from lyapy.spectra.plots import plot_convergence, plot_finite_time, plot_spectrum, plot_summary
from tests.support.made_spectra import computed, made

SPECTRA = {
    "computed": computed,
    "one exponent": lambda: made([0.3], state_size=9),
    "one trajectory": lambda: made([0.3, -1], trajectories=1),
    "one row": lambda: made([0.3, -1], trajectories=1, rows=1),
    "no error": lambda: made([0.3, -1], noise=0.0),
    "many": lambda: made(0.3 - 5 * np.linspace(0, 1, 500) ** 6, unresolved=[498, 499]),
    "dead tail": lambda: made([0.3, -1, -2, -np.inf, -np.inf]),
    "all dead": lambda: made([-np.inf] * 3),
    "none resolved": lambda: made([-1.0, -2.0], unresolved=[0, 1]),
}


pytestmark = pytest.mark.usefixtures("closed_figures")


def labelled(axes, label):
    handles, labels = axes.get_legend_handles_labels()
    return handles[labels.index(label)]


@pytest.mark.parametrize("name", SPECTRA)
def test_every_kind_of_spectrum_is_drawn(tmp_path, name):
    path = tmp_path / "picture.png"
    plot_summary(SPECTRA[name](), path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("suffix", "start"), [(".PDF", b"%PDF"), (".svg", b"<?xml")])
def test_the_suffix_chooses_the_format(tmp_path, suffix, start):
    path = tmp_path / f"picture{suffix}"
    plot_summary(made([0.3, -1.0]), path)
    assert path.read_bytes().startswith(start)


def test_exponents_and_errors_are_drawn_against_the_index():
    spectrum = made([0.3, -1.0, -2.0])
    axes = plot_spectrum(spectrum)
    points, _, (bars,) = labelled(axes, "± standard error")
    np.testing.assert_array_equal(points.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(points.get_ydata(), spectrum.exponents)
    lengths = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(lengths, 2 * spectrum.standard_error, rtol=1e-9)
    assert "nats per step" in axes.get_ylabel()
    assert any(np.all(np.equal(line.get_ydata(), 0.0)) for line in axes.get_lines())


def test_dead_and_unresolved_are_marked_apart():
    spectrum = made([0.3, -1.0, -2.0, -np.inf, -np.inf], unresolved=[2])
    axes = plot_spectrum(spectrum)
    dead = labelled(axes, "dead: −∞")
    np.testing.assert_array_equal(dead.get_xdata(), [4, 5])
    bounds = labelled(axes, "not resolved: upper bound")
    np.testing.assert_array_equal(bounds.get_xdata(), [3])
    np.testing.assert_array_equal(bounds.get_ydata(), spectrum.exponents[2:3])
    assert dead.get_marker() != bounds.get_marker()
    points, _, _ = labelled(axes, "± standard error")
    np.testing.assert_array_equal(np.isnan(points.get_ydata()), [False, False, True, True, True])


@pytest.mark.parametrize("name", ["many", "dead tail"])
def test_the_legend_lies_on_nothing_and_within_the_picture(name):
    axes = plot_spectrum(SPECTRA[name]())
    figure = axes.get_figure()
    figure.canvas.draw()
    words = axes.get_legend().get_window_extent()
    assert words.y0 >= axes.get_window_extent().y1
    assert words.x1 <= figure.bbox.x1 and words.y1 <= figure.bbox.y1


def test_many_exponents_are_a_line_with_a_band_and_an_inset():
    spectrum = SPECTRA["many"]()
    axes = plot_spectrum(spectrum)
    band = labelled(axes, "± standard error").get_datalim(axes.transData)
    np.testing.assert_allclose(band.x1, 498)
    (inset,) = axes.child_axes
    (line,) = [line for line in inset.get_lines() if len(line.get_xdata()) == 125]
    np.testing.assert_array_equal(line.get_ydata(), spectrum.exponents[:125])
    assert not plot_spectrum(made(np.linspace(1, -1, 500))).child_axes


def test_convergence_ends_at_the_final_values():
    spectrum = made([0.3, -1.0, -np.inf])
    axes = plot_convergence(spectrum)
    curves = [line for line in axes.get_lines() if len(line.get_xdata()) == 20]
    assert len(curves) == 2
    for i, curve in enumerate(curves):
        np.testing.assert_array_equal(curve.get_xdata(), spectrum.growth_steps)
        np.testing.assert_array_equal(curve.get_ydata(), spectrum.convergence()[:, i])
        assert curve.get_ydata()[-1] == pytest.approx(spectrum.exponents[i])
    labels = axes.get_legend_handles_labels()[1]
    assert labels[0].startswith(f"$\\lambda_{{1}}$ = {spectrum.exponents[0]:.4f} ± 0.00")
    assert axes.get_xlabel() == "Counted steps"


def test_of_many_exponents_eight_of_the_leading_quarter_converge():
    labels = plot_convergence(SPECTRA["many"]()).get_legend_handles_labels()[1]
    indices = [int(label.split("{")[1].split("}")[0]) for label in labels]
    assert len(indices) == 8
    assert (indices[0], indices[-1]) == (1, 125)


def test_finite_time_exponents_are_histograms():
    spectrum = made([0.3, -1.0, -np.inf], rows=40)
    axes = plot_finite_time(spectrum, 128, indices=(1, 2, 3, 9))
    found = spectrum.finite_time_exponents(128)
    labels = axes.get_legend_handles_labels()[1]
    assert len(labels) == 2
    assert labels[0] == rf"$\lambda_{{1}}$, standard deviation {found[:, :, 0].std():.2g}"
    means = [line.get_xdata()[0] for line in axes.get_lines()]
    np.testing.assert_allclose(means, spectrum.exponents[:2])
    for patch, i in zip(axes.patches, range(2), strict=True):
        x = patch.get_path().vertices[:, 0]
        assert x.min() == pytest.approx(found[:, :, i].min())
        assert x.max() == pytest.approx(found[:, :, i].max())
    assert axes.get_xlabel() == "Exponent over 128 steps (nats per step)"
    plot_finite_time(made([0.3], noise=0.0), 64)
    with pytest.raises(ValueError, match=r"indices is \(3,\); none of these exponents is finite"):
        plot_finite_time(spectrum, 128, indices=(3,))
    with pytest.raises(ValueError, match="give a multiple of 64"):
        plot_finite_time(spectrum, 100)


def test_axes_name_the_units():
    spectrum = made([0.3, -1.0])
    spectrum.settings["dt"] = 0.1
    for axes in (plot_spectrum(spectrum), plot_convergence(spectrum)):
        assert axes.get_ylabel().endswith("(nats per unit of time)")
    assert plot_finite_time(spectrum, 64).get_xlabel().endswith("(nats per unit of time)")


def test_given_axes_are_drawn_into_and_nothing_global_changes():
    before = dict(matplotlib.rcParams)
    axes = Figure().subplots()
    assert plot_spectrum(computed(), axes) is axes
    assert plot_convergence(computed(), axes) is axes
    assert dict(matplotlib.rcParams) == before


def test_figures_are_shown_unless_axes_or_a_path_are_given(tmp_path):
    spectrum = made([0.3, -1.0])
    drawn = [spectrum.plot(), spectrum.plot("convergence"), spectrum.plot("finite_time", 64)]
    drawn.append(spectrum.plot("summary")[0])
    assert [axes.figure.number for axes in drawn] == pyplot.get_fignums() == [1, 2, 3, 4]
    axes = Figure().subplots()
    assert spectrum.plot(ax=axes) is axes
    plot_summary(spectrum, tmp_path / "picture.png")
    assert len(pyplot.get_fignums()) == 4
    with pytest.raises(ValueError, match="kind is 'history'; it must be one of spectrum, conv"):
        spectrum.plot("history")


def test_saving_a_picture_does_not_import_pyplot(tmp_path):
    script = (
        "import sys\n"
        "from tests.support.made_spectra import made\n"
        "import lyapy.spectra.plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"lyapy.spectra.plots.plot_summary(made([0.3, -1]), {str(tmp_path / 'a.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("count", [4, 60])
def test_spectra_in_the_same_axes_differ_in_colour_and_have_an_entry_each(count):
    first, second = (made(np.linspace(x, x - 3, count), unresolved=[3]) for x in (0.0, 0.5))
    axes = first.plot(label="first")
    second.plot(ax=axes, label="second", lw=2.5)
    handles, labels = axes.get_legend_handles_labels()
    assert labels == ["first", "not resolved: upper bound", "second"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == labels
    assert handles[0].get_color() == handles[1].get_color() != handles[2].get_color()
    assert handles[2].get_linewidth() == 2.5
    assert sum(np.all(np.equal(line.get_ydata(), 0.0)) for line in axes.get_lines()) == 1


def test_an_inset_goes_when_a_second_spectrum_comes():
    axes = SPECTRA["many"]().plot()
    assert axes.child_axes
    SPECTRA["many"]().plot(ax=axes)
    assert not axes.child_axes


def test_places_may_be_relative():
    spectrum = made([0.3, -1.0], state_size=8)
    axes = spectrum.plot(relative=True, color="k")
    points, _, _ = labelled(axes, "± standard error")
    np.testing.assert_array_equal(points.get_xdata(), [1 / 16, 3 / 16])
    assert points.get_color() == "k"
    assert "Position" in axes.get_xlabel()


def test_time_is_in_units_of_dt():
    spectrum = made([0.3, -1.0])
    spectrum.settings["dt"] = 0.25
    axes = spectrum.plot("convergence", indices=[2])
    (curve,) = [line for line in axes.get_lines() if len(line.get_xdata()) == 20]
    np.testing.assert_array_equal(curve.get_xdata(), spectrum.growth_steps / 4)
    assert axes.get_xlabel() == "Time"
    assert axes.get_legend_handles_labels()[1][0].startswith(r"$\lambda_{2}$")
    assert "over a time of 16 (" in spectrum.plot("finite_time", 64).get_xlabel()


def test_an_existing_picture_and_a_wrong_suffix_are_refused(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="exists"):
        plot_summary(computed(), path)
    assert path.read_bytes() == b"precious"
    plot_summary(computed(), path, overwrite=True)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(
        ValueError, match=r"picture\.txt: unsupported type of plot file; give one of"
    ):
        plot_summary(computed(), tmp_path / "picture.txt")


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"lyapy\[plot\]"):
        plot_spectrum(computed())
