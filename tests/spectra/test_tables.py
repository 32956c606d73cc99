"""Results as data frames, datasets, CSV and HTML."""

import base64
import csv
import io
import re
import sys

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.spectra.exponents import QUANTITIES
from tests.support.made_spectra import computed, made

pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")


def test_a_data_frame_has_a_row_for_each_exponent():
    spectrum = made([0.3, -1.0, -np.inf, -2.0], unresolved=[3])
    frame = spectrum.to_dataframe()
    assert frame.index.name == "index" and list(frame.index) == [1, 2, 3, 4]
    np.testing.assert_array_equal(frame.exponents, spectrum.exponents)
    np.testing.assert_array_equal(frame.standard_error, spectrum.standard_error)
    assert list(frame.status) == ["resolved", "resolved", "not resolved", "dead"]
    assert frame.attrs == {"units": "nats per step", "status": spectrum.status.code}


def test_a_dataset_has_all_quantities_with_their_axes_and_units():
    spectrum = computed()
    dataset = spectrum.to_xarray()
    assert set(dataset.variables) == {*QUANTITIES, "exponent"}
    for name, quantity in QUANTITIES.items():
        assert dataset[name].dims == quantity.axes, name
        np.testing.assert_array_equal(dataset[name], getattr(spectrum, name, dataset[name]))
    assert dataset.exponents.attrs["units"] == "nats per step"
    assert dataset.exponents.sel(exponent=2).item() == spectrum.exponents[1]
    assert dataset.attrs["status"] == spectrum.status.code


def test_xarray_reads_a_run_file_with_the_same_axes(tmp_path):
    pytest.importorskip("h5netcdf")
    computed().save(tmp_path / "run.h5")
    with xarray.open_dataset(tmp_path / "run.h5", engine="h5netcdf") as read:
        made_here = computed().to_xarray()
        assert {n: v.dims for n, v in read.variables.items()} == {
            n: v.dims for n, v in made_here.variables.items() if n != "exponent"
        }
        np.testing.assert_array_equal(read.growth, made_here.growth)
        assert read.growth.attrs == made_here.growth.attrs


def test_printing_shows_the_status_and_a_notebook_the_picture(monkeypatch):
    spectrum = made([0.3, -1.0, -np.inf])
    assert spectrum.status.code in repr(spectrum) and "\n" not in repr(spectrum)
    assert f"status                   {spectrum.status.code}" in str(spectrum)
    html = spectrum._repr_html_()
    assert f"status: {spectrum.status.code}</b>" in html and "3 of 3 Lyapunov exponents" in html
    png = base64.b64decode(re.search('base64,([^"]+)', html)[1])
    assert png.startswith(b"\x89PNG")
    rows = re.findall("<tr>(.*?)</tr>", html)
    assert "-inf" in rows[3] and "dead" in rows[3]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "<img" not in spectrum._repr_html_()


def test_text_in_html_is_escaped():
    spectrum = made([0.3, -1.0])
    spectrum.settings["assumptions"] = ["<script>"]
    assert "<script>" not in spectrum._repr_html_()
    frame = lyapy.Sweep([])
    assert "0 spectra of 0 networks" in frame._repr_html_()


def test_the_command_prints_a_run_file_as_csv(tmp_path, capsys):
    spectrum = made([0.3, -1.0, -np.inf])
    spectrum.save(tmp_path / "run.h5")
    assert main(["show", str(tmp_path / "run.h5"), "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["exponents"]) for row in table] == spectrum.exponents.tolist()
    assert [row["status"] for row in table] == ["resolved", "resolved", "dead"]
    assert table[2]["standard_error"] == ""


@pytest.mark.parametrize("name", ["pandas", "xarray"])
def test_a_missing_library_names_the_extra(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    make = {"pandas": lyapy.Spectrum.to_dataframe, "xarray": lyapy.Spectrum.to_xarray}[name]
    with pytest.raises(ModuleNotFoundError, match=rf"lyapy\[{name}\]"):
        make(computed())
