"""Engines are fitted to plain Python steps, factors, and the cards of the machine."""

import numpy as np
import pytest

from lyapy import Map, Network, random_network
from lyapy.networks.forward import layer_forward
from lyapy.runs.threads import default_threads, side_by_side
from lyapy.tangent import engine as engines
from lyapy.tangent.engine import Engine
from lyapy.tangent.reference import ArrayTangent, FactorTangent

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


def test_cards_take_an_equal_part_each():
    assert [side_by_side(CARDS, n) for n in (1, 2, 3, 7, 8)] == [1, 1, 2, 4, 4]
    assert side_by_side(NUMPY, 7) == default_threads()
