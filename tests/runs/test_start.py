"""Bad arguments: the error names the argument, the finding and, if needed, the remedy."""

import importlib.util
import os

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum, random_network, spectrum_of_jacobians
from lyapy.runs.threads import default_threads

DRIVEN = random_network("gru", 3, 2, seed=1)
AUTONOMOUS = random_network("vanilla", 4, seed=1)
INPUTS = np.random.default_rng(2).normal(size=(20, 2))


def holding(value):
    inputs = INPUTS.copy()
    inputs[7, 1] = value
    return inputs


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (None, ValueError, r"inputs is None, but the network reads 2 inputs.*an array \(T, 2\)"),
        (INPUTS[:, :1], ValueError, r"inputs has shape \(20, 1\), but .*; give an array \(T, 2\)"),
        (INPUTS[0], ValueError, r"inputs has 1 dimensions, shape \(2,\); give an array \(T, 2\)"),
        (INPUTS[None, None], ValueError, "inputs has 4 dimensions"),
        (INPUTS[:0], ValueError, r"inputs is empty, shape \(0, 2\)"),
        (np.zeros((0, 5, 2)), ValueError, r"inputs is empty, shape \(0, 5, 2\)"),
        (INPUTS * 1j, TypeError, "inputs has dtype complex128; it must be real numbers"),
        (INPUTS.astype(str), TypeError, "inputs has dtype <U.*; it must be real numbers"),
        ("x.npy", TypeError, r"inputs is the path 'x\.npy'; read it with numpy\.load"),
        (1000, ValueError, r"inputs has 0 dimensions, .*; give an array \(T, "),
        (INPUTS.astype(object), TypeError, "inputs has dtype object; it must be real numbers"),
        ([[1.0, 2.0], [3.0]], (TypeError, ValueError), "inputs"),
        (holding(np.nan), ValueError, "inputs holds 1 values that are NaN .* step 7"),
        (holding(-np.inf), ValueError, "inputs holds 1 values that are NaN .* step 7"),
        (np.stack([INPUTS, holding(np.nan)]), ValueError, "inputs holds 1 values .* step 7"),
    ],
)
def test_impossible_inputs_are_refused(inputs, error, message):
    with pytest.raises(error, match=message):
        lyapunov_spectrum(DRIVEN, inputs)


def test_a_batch_in_the_other_order_is_warned_of():
    words = r"is 20 trajectories of 3 steps.*swapaxes\(0, 1\)"
    for compute in (lyapunov_spectrum, lyapy.largest_exponent):
        with pytest.warns(RuntimeWarning, match=words) as warned:
            compute(DRIVEN, np.ones((20, 3, 2)))
        assert warned[0].filename == __file__


ORTHONORMAL = np.eye(3)
OPTIONS = [
    ({"transient": 20}, "inputs has 20 steps, too few for transient=20 and no step to count"),
    ({"transient": 15, "steps": 6}, "inputs has 20 steps.*transient=15 and 6 steps to count"),
    ({"transient": -1}, "transient is -1; it must be a whole number at least 0"),
    ({"transient": 1.5}, "transient is 1.5; it must be a whole number"),
    ({"steps": 0}, "steps is 0; it must be a whole number at least 1"),
    ({"steps": "10"}, "steps is '10'; it must be a whole number"),
    ({"k": 0}, "k is 0; it must be a whole number from 1 to 3; the state has 3 dimensions"),
    ({"k": 4}, "k is 4; it must be a whole number from 1 to 3; the state has 3 dimensions"),
    ({"k": 2.0}, "k is 2.0; it must be a whole number"),
    ({"k": True}, "k is True; it must be a whole number"),
    ({"interval": "often"}, "interval is 'often'; it must be 'auto' or a positive whole number"),
    ({"tolerance": 0.0}, "tolerance is 0.0; it must lie between 1e-15 and 1"),
    ({"frame": "eye"}, "frame is 'eye'; it must be 'random', 'identity' or an array"),
    ({"frame": np.eye(4)}, r"frame has shape \(4, 4\); it must be \(k, 3\)"),
    ({"frame": np.ones(3)}, r"frame has shape \(3,\); it must be \(k, 3\)"),
    ({"frame": np.zeros((0, 3))}, r"frame has shape \(0, 3\)"),
    ({"frame": np.eye(3)[[0, 1, 2, 0]]}, r"frame has shape \(4, 3\)"),
    ({"frame": np.ones((2, 3))}, "frame has linearly dependent rows"),
    ({"frame": np.zeros((1, 3))}, "frame has linearly dependent rows"),
    ({"frame": np.eye(3) * np.nan}, "frame holds NaN or infinite values"),
    ({"frame": np.eye(3), "k": 2}, "k is 2, but frame has 3 rows"),
    ({"frame": [["a"]]}, "frame"),
    ({"initial_state": np.zeros(4)}, r"initial_state has shape \(4,\); it must be \(3,\) or"),
    ({"initial_state": np.zeros((1, 2, 3))}, r"initial_state has shape \(1, 2, 3\)"),
    ({"initial_state": [0, np.nan, 0]}, "initial_state holds NaN or infinite values"),
    ({"initial_state": ["a", "b", "c"]}, "initial_state"),
    ({"initial_state": np.zeros(3) * 1j}, "initial_state"),
    ({"trajectories": 0}, "trajectories is 0; it must be a whole number at least 1"),
    (
        {"trajectories": 3, "initial_state": np.zeros((2, 3))},
        "numbers of trajectories differ: 3 by trajectories, 2 by initial_state",
    ),
    ({"backend": "jax"}, "backend is 'jax'; it must be one of auto, numba, numpy, cupy"),
    ({"backend": None}, "backend is None; it must be one of"),
    ({"seed": -1}, "seed is -1; it must be a whole number at least 0"),
    ({"seed": 0.5}, "seed is 0.5; it must be a whole number"),
    ({"seed": "1"}, "seed is '1'; it must be a whole number"),
    ({"rng": 1.5}, "rng is 1.5; it must be a whole number"),
    ({"seed": 1, "rng": 2}, "seed is 1 and rng is 2; give one of them"),
    ({"seed": None, "checkpoint": "run.h5"}, "seed is None.*at checkpoint .*; give a number"),
    ({"dt": "unit"}, "dt is 'unit'; it must be the time of a step, a positive number, or "),
    ({"threads": 0}, "threads is 0; it must be a whole number at least 1"),
    ({"threads": "all"}, "threads is 'all'; it must be a whole number"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=lambda v: str(v)[:40])
def test_impossible_options_are_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        lyapunov_spectrum(DRIVEN, INPUTS, **options)


def test_numbers_of_trajectories_must_agree():
    with pytest.raises(ValueError, match="differ: 2 by inputs, 3 by initial_state"):
        lyapunov_spectrum(DRIVEN, np.stack([INPUTS, INPUTS]), initial_state=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="differ: 2 by inputs, 3 by trajectories"):
        lyapunov_spectrum(DRIVEN, np.stack([INPUTS, INPUTS]), trajectories=3)


def test_an_autonomous_network_needs_steps_and_no_inputs():
    with pytest.raises(ValueError, match="steps is missing; a network without inputs needs"):
        lyapunov_spectrum(AUTONOMOUS)
    with pytest.raises(ValueError, match="the network reads 0 inputs; leave inputs out"):
        lyapunov_spectrum(AUTONOMOUS, INPUTS)


def test_a_cell_is_no_list_of_cells():
    with pytest.raises(TypeError, match="cells is a GRU; give a list, even of one cell"):
        lyapy.Network(DRIVEN.cells[0])


def test_a_network_of_another_type_is_refused():
    with pytest.raises(TypeError, match="network"):
        lyapunov_spectrum("model.safetensors", INPUTS)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_missing_cupy_names_the_extra():
    with pytest.raises(ModuleNotFoundError, match=r"backend='cupy' needs CuPy.*lyapy\[cuda12\]"):
        lyapunov_spectrum(DRIVEN, INPUTS, backend="cupy")


@pytest.mark.parametrize(
    ("jacobians", "message"),
    [
        (np.eye(3), r"jacobians has shape \(3, 3\); it must be \(T, D, D\) or \(B, T, D, D\)"),
        (np.ones((5, 3, 2)), r"jacobians has shape \(5, 3, 2\)"),
        (np.ones((5, 0, 0)), r"jacobians has shape \(5, 0, 0\)"),
        (np.ones((1, 1, 5, 2, 2)), r"jacobians has shape \(1, 1, 5, 2, 2\)"),
        (np.full((5, 2, 2), np.nan), "holds 20 values that are NaN .* at step 0"),
        (np.ones((5, 2, 2)) * 1j, "has dtype complex128; it must be real numbers"),
        (np.ones((0, 2, 2)), "is empty"),
    ],
)
def test_impossible_jacobians_are_refused(jacobians, message):
    with pytest.raises((ValueError, TypeError), match=message):
        spectrum_of_jacobians(jacobians)
    with pytest.raises(ValueError, match="k is 3; it must be a whole number from 1 to 2"):
        spectrum_of_jacobians(np.ones((5, 2, 2)), k=3)


def test_the_jacobian_of_a_wrong_state_is_refused():
    with pytest.raises(ValueError, match=r"state has shape \(4,\); it must be \(3,\)"):
        lyapy.jacobian(DRIVEN, np.zeros(4), np.zeros(2))
    with pytest.raises(ValueError, match=r"x has shape \(0,\); it must be \(2,\)"):
        lyapy.jacobian(DRIVEN, np.zeros(3))


@pytest.mark.parametrize("nonlinearity", ["identity", "relu"])
def test_diverging_network_names_the_step(nonlinearity, backend):
    cell = lyapy.Vanilla(None, [[0.0, 10.0], [10.0, 0.0]], nonlinearity=nonlinearity)
    # 10^308 is the largest power of ten in float64
    network, options = lyapy.Network([cell]), {"initial_state": np.ones(2), "backend": backend}
    with pytest.raises(FloatingPointError, match=r"trajectory 0: the state .* 308: it diverges"):
        lyapunov_spectrum(network, steps=500, **options)


def test_inputs_of_other_types_are_taken(backend):
    """Whole numbers, lists and single precision are taken as they are meant."""
    whole = np.round(INPUTS)
    wanted = lyapunov_spectrum(DRIVEN, whole, backend=backend).exponents
    for inputs in (whole.astype(int), whole.astype("f4"), whole.tolist()):
        found = lyapunov_spectrum(DRIVEN, inputs, backend=backend).exponents
        np.testing.assert_array_equal(found, wanted)


def test_initial_states_are_zero_or_drawn():
    """Zero for separate inputs; drawn if only the state distinguishes trajectories."""
    D, zeros = DRIVEN.state_size, np.zeros(DRIVEN.state_size)
    given = lyapunov_spectrum(DRIVEN, INPUTS, initial_state=zeros)
    both = lyapunov_spectrum(DRIVEN, np.stack([INPUTS, INPUTS]))
    np.testing.assert_array_equal(lyapunov_spectrum(DRIVEN, INPUTS).final_state, given.final_state)
    np.testing.assert_array_equal(both.final_state, given.final_state.repeat(2, axis=0))
    shared = lyapunov_spectrum(DRIVEN, INPUTS[:2], trajectories=3, seed=5)
    alone = lyapunov_spectrum(AUTONOMOUS, steps=2, trajectories=3, seed=5)
    for spectrum in (shared, alone):
        assert len(np.unique(spectrum.final_state[:, 0])) == 3
    broadcast = lyapunov_spectrum(DRIVEN, INPUTS, initial_state=np.ones(D), trajectories=2)
    assert broadcast.per_trajectory.shape == (2, D)
    np.testing.assert_array_equal(broadcast.final_state[0], broadcast.final_state[1])


def test_a_seed_settles_a_run():
    first, again = (lyapunov_spectrum(AUTONOMOUS, steps=70, trajectories=2, seed=3) for _ in "ab")
    np.testing.assert_array_equal(first.growth, again.growth)
    other = lyapunov_spectrum(AUTONOMOUS, steps=70, trajectories=2, seed=4)
    assert not np.array_equal(first.growth, other.growth)
    # the frame is drawn apart from the state
    state = np.ones(4)
    a, b = (lyapunov_spectrum(AUTONOMOUS, steps=70, initial_state=state, seed=s) for s in (0, 1))
    np.testing.assert_array_equal(a.final_state, b.final_state)
    assert not np.array_equal(a.growth, b.growth)
    # and so are those of the trajectories
    two = lyapunov_spectrum(AUTONOMOUS, steps=70, initial_state=np.stack([state, state]))
    assert not np.array_equal(two.growth[0], two.growth[1])


def test_threads_follow_the_machine(monkeypatch):
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    available = default_threads()
    assert 1 <= available <= (os.cpu_count() or 1)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert default_threads() == 1
    for value in ("0", "many", "100000"):
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", value)
        assert default_threads() == available


def test_a_seed_is_a_number_or_drawn():
    """A Generator is drawn from once, as in SciPy, also where short runs come first."""
    options = {"steps": 100, "backend": "numpy"}
    by = {
        "number": lyapunov_spectrum(AUTONOMOUS, rng=7, **options),
        "generator": lyapunov_spectrum(AUTONOMOUS, rng=np.random.default_rng(3), **options),
        "sequence": lyapunov_spectrum(AUTONOMOUS, seed=np.random.SeedSequence(3), **options),
    }
    drawn = int(np.random.default_rng(3).integers(2**32))
    seeds = {name: found.settings["seed"] for name, found in by.items()}
    assert seeds == {"number": 7, "generator": drawn, "sequence": drawn}
    again = lyapunov_spectrum(AUTONOMOUS, seed=drawn, **options)
    np.testing.assert_array_equal(again.growth, by["generator"].growth)
    rng = np.random.default_rng(3)
    assert lyapunov_spectrum(AUTONOMOUS, k="entropy", rng=rng, **options).settings["seed"] == drawn
    assert rng.integers(2**32) == np.random.default_rng(3).integers(2**32, size=2)[1]
    others = {lyapunov_spectrum(AUTONOMOUS, seed=None, **options).settings["seed"] for _ in "ab"}
    assert len(others) == 2


def test_other_functions_take_generators():
    drawn = int(np.random.default_rng(3).integers(2**32))
    for call in (
        lambda **seed: lyapy.largest_exponent(AUTONOMOUS, steps=50, **seed).value,
        lambda **seed: random_network("lstm", 3, **seed).cells[0].weights.U,
        lambda **seed: lyapy.fixed_points(AUTONOMOUS, starts=3, **seed).states,
    ):
        np.testing.assert_array_equal(call(rng=np.random.default_rng(3)), call(seed=drawn))


@pytest.mark.parametrize("kind", ["rate", "rate-rk4"])
def test_a_rate_networks_time_step_is_taken_over(kind):
    network, options = random_network(kind, 4, dt=0.2, seed=1), {"steps": 100, "backend": "numpy"}
    step = lyapunov_spectrum(network, dt="step", **options)
    flow = lyapunov_spectrum(network, **options)
    assert (step.dt, step.units) == (1.0, "nats per step")
    assert (flow.dt, flow.units) == (0.2, "nats per unit of time")
    np.testing.assert_allclose(flow.exponents, step.exponents / 0.2)
    assert lyapunov_spectrum(network, dt=0.1, **options).dt == 0.1
    largest = [lyapy.largest_exponent(network, steps=50, dt=dt).value for dt in (None, "step")]
    assert largest[0] == pytest.approx(largest[1] / 0.2)


def test_different_time_steps_are_left_alone():
    cells = [*random_network("rate", 4, dt=0.2).cells, *random_network("rate", 3, 4, dt=0.1).cells]
    options = {"steps": 100, "backend": "numpy"}
    assert lyapunov_spectrum(lyapy.Network(cells), **options).units == "nats per step"
    each = random_network("rate", 4, dt=[0.1, 0.2, 0.1, 0.2])
    assert lyapunov_spectrum(each, **options).units == "nats per step"


@pytest.mark.parametrize("window", [1, 10, 130])
def test_the_history_has_the_rows_asked_for(window):
    """Growth over windows is that of a run of the window's steps alone."""
    network = random_network("vanilla", 5, gain=2.0, seed=1)
    options = {"transient": 20, "backend": "numpy", "two_ended": False}
    found = lyapunov_spectrum(network, steps=2 * window, record_every=window, **options)
    windows = found.finite_time_exponents(window)
    assert windows.shape == (1, 2, 5)
    first = lyapunov_spectrum(network, steps=window, record_every=window, **options)
    assert found.growth_steps.tolist() == [window, 2 * window]
    np.testing.assert_allclose(windows[0, 0, 0], first.growth.sum(axis=1)[0, 0] / window)
    whole = lyapunov_spectrum(network, steps=2 * window, **options)
    np.testing.assert_allclose(found.exponents, whole.exponents, atol=1e-8)
