"""The recipes of docs/recipes.md, each against the library that it is for."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import lyapy

RECIPES = Path(__file__).parents[2] / "examples/recipes"
SERIES = np.cumsum(np.random.default_rng(0).normal(size=(300, 3)), axis=0) / 10


def recipe(name):
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
def test_reservoirpy():
    nodes = pytest.importorskip("reservoirpy").nodes
    from_reservoirpy = recipe("from_reservoirpy")
    node = nodes.Reservoir(20, lr=0.3, sr=0.9, seed=1)
    states = node.run(SERIES)
    readout = nodes.Ridge(ridge=1e-3)
    readout.fit(states[:-1], SERIES[1:])
    network = from_reservoirpy.network_of(node)
    spectrum = lyapy.lyapunov_spectrum(network, SERIES, backend="numpy")
    np.testing.assert_allclose(spectrum.final_state[0], states[-1], atol=1e-12)
    loop = from_reservoirpy.closed_loop_of(node, readout)
    state, after = loop.warm_up(SERIES), []
    for _ in range(5):
        x = readout.run(node.state["out"][None])[0]
        after.append(node.step(x))
    found = lyapy.lyapunov_spectrum(
        loop, steps=5, initial_state=state, backend="numpy", record_every=1
    )
    np.testing.assert_allclose(found.final_state[0], after[-1], rtol=1e-9)


def test_an_estimator():
    linear_model = pytest.importorskip("sklearn.linear_model")

    class Estimator(linear_model.Ridge):
        leak = 0.5

        def fit(self, X, y):
            rng = np.random.default_rng(1)
            self.input_weights_ = rng.normal(size=(20, X.shape[1])) / 2
            self.recurrent_weights_ = rng.normal(size=(20, 20)) / 10
            self.bias_ = rng.normal(size=20)
            return super().fit(self.states(X), y)

        def states(self, X):
            found, state = [], np.zeros(20)
            for x in X:
                drive = self.input_weights_ @ x + self.recurrent_weights_ @ state + self.bias_
                state = (1 - self.leak) * state + self.leak * np.tanh(drive)
                found.append(state)
            return np.array(found)

        def predict(self, X):
            return super().predict(self.states(X))

    estimator = Estimator(alpha=1e-3).fit(SERIES[:-1], SERIES[1:])
    loop = recipe("from_an_estimator").closed_loop_of(estimator)
    found = lyapy.lyapunov_spectrum(
        loop, steps=1, initial_state=loop.warm_up(SERIES), backend="numpy"
    )
    series = np.vstack([SERIES, estimator.predict(SERIES)[-1]])
    np.testing.assert_allclose(found.final_state[0], estimator.states(series)[-1], atol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_torch(kind):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(3, 8, num_layers=2, batch_first=True).double()
    inputs = torch.randn(2, 40, 3, dtype=torch.float64)
    spectrum, difference = recipe("from_torch").spectrum_of(module, inputs, backend="numpy")
    assert len(spectrum.exponents) == (32 if kind == "LSTM" else 16)
    assert difference < 1e-12


@pytest.mark.parametrize("bias", [0.2, np.full((5, 1), 0.2), None])
def test_sparse_input_weights_and_biases_of_a_reservoir(bias):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(1)
    W, U = rng.normal(size=(5, 2)), rng.normal(size=(5, 5))
    given = sparse.csr_array(bias) if np.ndim(bias) == 2 else bias
    cell = lyapy.cells.Reservoir(sparse.csr_array(W), sparse.csr_array(U), given)
    dense = lyapy.cells.Reservoir(W, U, None if bias is None else np.full(5, 0.2))
    x = rng.normal(size=(30, 2))
    found = [
        lyapy.lyapunov_spectrum(lyapy.Network([each]), x, backend="numpy").exponents
        for each in (cell, dense)
    ]
    np.testing.assert_allclose(*found, atol=1e-10)
    np.testing.assert_array_equal(cell.b, dense.b)
