"""Public names: completion, names in the docs, misspelt names."""

import subprocess
import sys

import pytest

import lyapy


def test_completion_shows_only_public_names():
    shown = dir(lyapy)
    assert set(lyapy.__all__) < set(shown)
    assert "cells" in shown and "plots" in shown
    assert not {"Any", "TYPE_CHECKING", "annotations", "import_module"} & set(shown)
    assert all(hasattr(lyapy, name) for name in shown)


@pytest.mark.parametrize("name", ["cells.CoRNN", "plots.plot_spectrum", "errors.Interrupted"])
def test_names_of_the_docs_need_no_further_import(name):
    code = f"import lyapy; lyapy.{name}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_error_for_a_misspelt_name_suggests_the_nearest():
    code = "import lyapy; lyapy.lyapunov_spectra"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Did you mean: 'lyapunov_spectrum'?" in done.stderr
