"""Further cells against the published equations, and in cases that are known exactly."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy import cells
from lyapy.engines import choose_engine
from lyapy.forward import forward_chunk

GOLDEN = Path(__file__).parent / "golden" / "other_cells.npz"
SPLIT = {"epsilon": 0.4, "gamma": 0.7}
SPIKING = {"decay": 0.9, "threshold": 1.0, "sharpness": 5.0}
# case: class and the numbers of its equation, as in golden/make_other_cells.py
BUILD = {
    "rate": (cells.Rate, {"dt": 0.2}),
    "rate-rk4": (cells.RateRK4, {"dt": 0.2}),
    "reservoir": (cells.Reservoir, {"leak": 0.3}),
    "reservoir, sparse": (cells.Reservoir, {"leak": 0.3}),
    "antisymmetric": (cells.Antisymmetric, SPLIT),
    "lipschitz": (cells.Lipschitz, {**SPLIT, "beta": 0.8, "alpha": 0.9}),
    "cornn": (cells.CoRNN, {**SPLIT, "dt": 0.2}),
    "plrnn": (cells.PLRNN, {}),
    "dendritic": (cells.PLRNN, {}),
    "shallow-plrnn": (cells.ShallowPLRNN, {}),
    "shallow-plrnn-clipped": (cells.ShallowPLRNN, {"clipped": True}),
    "minimal-gated": (cells.MinimalGated, {}),
    "independent": (cells.Independent, {"nonlinearity": "tanh"}),
    "state-space": (cells.DiagonalStateSpace, {}),
    "spiking-surrogate": (cells.SpikingSurrogate, SPIKING),
    "spiking-surrogate-detached": (cells.SpikingSurrogate, {**SPIKING, "detached_reset": True}),
}
RESULTS = ("inputs", "initial_state", "states", "jacobian", "outputs")


def golden_case(name):
    """Return the cell of a case and what it should compute."""
    case = name.partition(",")[0]
    with np.load(GOLDEN) as archive:
        arrays = {n.partition("/")[2]: archive[n] for n in archive if n.startswith(f"{case}/")}
    results = {n: arrays.pop(n) for n in RESULTS if n in arrays}
    if name.endswith("sparse"):
        arrays["U"] = csr_array(arrays["U"])
    kind, numbers = BUILD[name]
    return kind(**arrays, **numbers), results


@pytest.mark.parametrize("name", BUILD)
def test_the_published_equations_give_the_same(name, backend):
    cell, golden = golden_case(name)
    network, inputs, start = lyapy.Network([cell]), golden["inputs"], golden["initial_state"]
    run = choose_engine(backend).run_layer
    states = forward_chunk(network, inputs, start, run).states
    np.testing.assert_allclose(states, golden["states"], rtol=1e-12, atol=1e-12)
    found = lyapy.jacobian(network, golden["states"][-2], inputs[-1])
    np.testing.assert_allclose(found, golden["jacobian"], rtol=1e-12, atol=1e-12)
    if "outputs" in golden:
        read = cell.outputs(golden["states"], cell.drive(inputs))
        np.testing.assert_allclose(read, golden["outputs"], rtol=1e-12, atol=1e-12)
        assert cell.output_size == golden["outputs"].shape[1]


def test_every_other_cell_has_a_golden_case():
    assert {kind for kind, _ in BUILD.values()} == set(cells.OTHERS)
