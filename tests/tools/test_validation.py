"""The fast part of the validation table, with both engines where a case is exact."""

from functools import partial

import pytest

import lyapy
from tools.validation import exact, search
from tools.validation.cases import CASES

BOTH = [
    (case, backend)
    for case in CASES
    for backend in ("numba", "numpy")
    if not case.slow and (backend == "numba" or case.run.__module__ == exact.__name__)
]


def check_on(case, backend, monkeypatch):
    for name in ("lyapunov_spectrum", "spectrum_of_jacobians"):
        monkeypatch.setattr(lyapy, name, partial(getattr(lyapy, name), backend=backend))
    for check in case():
        assert check.passed, check


@pytest.mark.parametrize(
    ("case", "backend"), BOTH, ids=lambda v: v if isinstance(v, str) else v.run.__name__
)
def test_exact_and_published_cases(case, backend, monkeypatch):
    check_on(case.run, backend, monkeypatch)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", [30080, 51023, 90083])
def test_searches_that_found_something_once(seed, backend):
    """Growth in the rounding of a product, slopes that underflow, and a bound that failed."""
    for verdict, where in search.examine(seed, [backend]):
        assert verdict in ("right", "marked", "bounded"), where
