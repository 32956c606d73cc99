"""Engines are fitted to plain Python steps, factors, and the cards of the machine."""

from types import SimpleNamespace

import numpy as np
import pytest

from lyapy import Map, Network, Vanilla, random_network
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import layer_forward
from lyapy.runs.threads import default_threads, side_by_side
from lyapy.tangent import engine as engines
from lyapy.tangent.engine import Engine
from lyapy.tangent.reference import ArrayTangent, DecoupledTangent, FactorTangent, SingleTangent
from lyapy.tangent.two_ended import FullTangent

CARDS = Engine("cupy", None, ArrayTangent, devices=("one", "another"))
NUMPY = Engine("numpy", None, ArrayTangent)
NETWORK = random_network("vanilla", 3, seed=1)


class Other(Map):
    name = "another map"


FUNCTIONS = (lambda h, x: h, lambda h, x: np.eye(2))
PLAIN = Network([Map(*FUNCTIONS, 2, 0), Other(*FUNCTIONS, 2, 2)])


def fitted(monkeypatch, engine, network, kinds=()):
    monkeypatch.setattr(engines, "choose_engine", lambda *arguments: engine)
    return engines.fitted_engine("any", 1, network, "factors" in kinds)


@pytest.mark.parametrize("engine", [CARDS, NUMPY])
def test_an_engine_that_fits_is_left_as_it_is(engine, monkeypatch):
    assert fitted(monkeypatch, engine, NETWORK) is engine


def test_factors_are_kept_by_the_readable_tangent_step_unchecked(monkeypatch):
    found = fitted(monkeypatch, NUMPY, NETWORK, ("factors",))
    assert found == NUMPY._replace(tangent=FactorTangent, checked=False)


def test_a_plain_step_is_run_by_the_readable_loop(monkeypatch):
    found = fitted(monkeypatch, NUMPY, PLAIN)
    assert found == NUMPY._replace(run_layer=layer_forward)


DENSE = np.random.default_rng(1).normal(size=(3, 3))
WEAK = np.array([[0.5, 1.0, 0.0], [1.0, 0.5, 1e-9], [1e-9, 0.0, 0.5]])
BLOCKS = {
    "units alone": (Vanilla(None, np.diag([0.5, 0.9])), 2, SingleTangent),
    "pairs of units": (random_network("state-space", 2, 1, seed=1).cells[0], 4, DecoupledTangent),
    "a full spectrum": (Vanilla(None, DENSE), 3, FullTangent),
    "leading exponents": (Vanilla(None, DENSE), 2, ArrayTangent),
    "units joined weakly": (Vanilla(None, WEAK), 3, ArrayTangent),
    "no known determinant": (random_network("gru", 3, seed=1).cells[0], 3, ArrayTangent),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_followed_by_the_tangent_that_fits_it(name):
    cell, vectors, kind = BLOCKS[name]
    for tolerance in (0.0, 1e-8):
        (block,) = diagonal_blocks(Network([cell]), whole=False, tolerance=tolerance)
        found = NUMPY.tangent_of(block, vectors)
        assert type(found) is kind
        if kind is FullTangent:
            # both ends where there is an inverse, and no check where none is wanted
            assert (found.trailing is not None) == (tolerance > 0.0)
            assert type(NUMPY._replace(checked=False).tangent_of(block, 3)) is ArrayTangent


def test_the_cards_are_among_the_settings():
    cards = tuple(SimpleNamespace(name=name) for name in ("two", "one", "two"))
    assert CARDS._replace(devices=cards).settings() == {"backend": "cupy", "gpu": "one, two"}
    assert NUMPY.settings() == {"backend": "numpy"}


def test_cards_take_an_equal_part_each():
    assert [side_by_side(CARDS, n) for n in (1, 2, 3, 7, 8)] == [1, 1, 2, 4, 4]
    assert side_by_side(NUMPY, 7) == default_threads()
