"""Mistakes that are easily made are refused with the remedy."""

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.spectra import plots
from lyapy.spectra.measures import kaplan_yorke_dimension
from tests.support.made_spectra import computed

NETWORK = lyapy.random_network("vanilla", 4, seed=1)


def one(h):
    return h


def two(h, x):
    return np.eye(2)


MISTAKES = {
    "a number of steps": (lambda: lyapy.lyapunov_spectrum(NETWORK, 1000), "give steps=1000"),
    "a step of one argument": (lambda: lyapy.Map(one, two, 2), r"step takes \(h\).*\(h, x\)"),
    "a Jacobian of one argument": (lambda: lyapy.Map(two, one, 2), r"jacobian takes \(h\)"),
    "a map instead of a network": (
        lambda: lyapy.lyapunov_spectrum(lyapy.Map(two, two, 2), steps=9),
        r"network is a Map; give lyapy.Network\(\[it\]\)",
    ),
    "a plot of an array": (lambda: plots.plot_spectrum(np.zeros(3)), "spectrum is a ndarray"),
    "convergence of an array": (lambda: plots.plot_convergence(np.zeros(3)), "is a ndarray"),
    "unsorted exponents": (
        lambda: kaplan_yorke_dimension(np.array([-1.0, 0.5, 0.0]), 3),
        "not in descending order; give numpy.sort",
    ),
    "a spectrum as npz": (lambda: computed().save("o.npz"), r"o\.npz: would be HDF5.*give o\.h5"),
    "a checkpoint as npy": (
        lambda: lyapy.lyapunov_spectrum(NETWORK, steps=9, checkpoint="o.npy"),
        r"o\.npy: would be HDF5",
    ),
    "a sweep as csv": (lambda: lyapy.Sweep([]).save("o.csv"), r"o\.csv: would be HDF5"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_its_remedy(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, message = MISTAKES[mistake]
    with pytest.raises((TypeError, ValueError), match=message):
        call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["show"], ["plot"]])
def test_a_metric_of_a_missing_file(words, capsys):
    assert main([*words, "none.h5", "--metric", "loss"]) == 2
    assert capsys.readouterr().err == "lyapy: error: none.h5: does not exist; check the path\n"
