"""Options: described once, given as objects or as plain keywords."""

import inspect
import re

import numpy as np
import pytest

import lyapy
from lyapy import Compute, Keep, Method, lyapunov_spectrum
from lyapy.cli import main
from lyapy.runs.options import ALL, KINDS, described

NETWORK = lyapy.random_network("gru", 3, 2, layers=2, seed=1)
DRIVE = np.random.default_rng(2).normal(size=(90, 2))


def test_signature_and_docstring_show_every_option():
    parameters = inspect.signature(lyapunov_spectrum).parameters
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    doc = inspect.getdoc(lyapunov_spectrum)
    documented = re.findall(r"^(\w+(?:, \w+)*) : ", doc, re.MULTILINE)
    assert ", ".join(documented).split(", ") == list(parameters)
    for kind in KINDS.values():
        for name in described(kind):
            assert parameters[name].default == getattr(kind(), name)
            assert f"\n{name} : {ALL[name].kind}\n    {ALL[name].text[0].upper()}" in kind.__doc__


def test_every_option_is_a_flag(capsys):
    for command in ("spectrum", "sweep"):
        assert main([command, "--help"]) == 0
        flags = re.findall(r"--(?:no-)?([a-z-]+)", capsys.readouterr().out)
        named = {name.replace("_", "-") for name in ALL} - {"checkpoint"}
        assert named <= set(flags)


def test_objects_and_keywords_are_the_same(tmp_path):
    method, compute = Method(tolerance=1e-6, interval=3), Compute(backend="numpy", threads=1)
    keep = Keep(checkpoint=tmp_path / "run.h5", record="states")
    whole = lyapunov_spectrum(NETWORK, DRIVE, method=method, compute=compute, keep=keep)
    mixed = lyapunov_spectrum(
        NETWORK, DRIVE, method=Method(interval=3), tolerance=1e-6, backend="numpy", threads=1,
        keep=Keep(record=("states",)), checkpoint=tmp_path / "mixed.h5",
    )  # fmt: skip
    np.testing.assert_array_equal(whole.growth, mixed.growth)
    for settings in (whole.settings, mixed.settings):
        assert (settings["interval"], settings["tolerance"]) == (3, 1e-6)
        assert (settings["backend"], settings["record"]) == ("numpy", ["states"])
        for name, option in ALL.items():
            assert (name in settings) == bool(option.stored)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerence": 1e-6}, "tolerence is no argument of lyapunov_spectrum; nearest are toler"),
        ({"method": Method(tolerance=1e-6), "tolerance": 1e-7}, "tolerance is given twice, in m"),
        ({"keep": Keep(overwrite=True), "overwrite": False}, "overwrite is given twice, in keep"),
        ({"compute": Method()}, "compute is a Method; it must be a lyapy.Compute"),
    ],
)
def test_keywords_that_do_not_fit(options, message):
    with pytest.raises(TypeError, match=message):
        lyapunov_spectrum(NETWORK, DRIVE, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "half"}, "precision is 'half'; it must be one of float64, float32"),
        ({"precision": "float32"}, "precision is 'float32', in which backend='auto' does not"),
        (
            {"precision": "float32", "backend": "cupy", "tolerance": 1e-8},
            "tolerance is 1e-08; it must lie between 5e-07 and 1",
        ),
        ({"blas_threads": 0}, "blas_threads is 0"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"checkpoint_every": float("nan")}, "checkpoint_every is nan"),
        ({"record": "everything"}, "record is 'everything'; it must be any of growth"),
        ({"record": ()}, r"record is \(\)"),
        ({"record_every": 0}, "record_every is 0"),
        ({"record_every": 0.5}, "record_every is 0.5; it must be a whole number of steps"),
        ({"record_every": 7, "interval": 3}, "record_every is 7.*a multiple of interval=3"),
        ({"record": "states"}, "record is states, .*checkpoint=FILE"),
    ],
)
def test_values_are_checked(options, message, tmp_path):
    needs_file = "checkpoint=FILE" not in message
    options = {"checkpoint": tmp_path / "run.h5", **options} if needs_file else options
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(NETWORK, DRIVE, **options)
    assert not list(tmp_path.iterdir())


def test_an_object_checks_its_values_when_it_is_made():
    with pytest.raises(ValueError, match="interval is 0"):
        Method(interval=0)
