"""Covariant vectors against exact ones, and against their definition."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles

import lyapy
from lyapy.cells.own_map import GivenJacobian
from lyapy.networks.forward import forward_chunk
from lyapy.networks.jacobian import jacobian
from lyapy.vectors import passes
from tests.support.made_networks import henon


def of_jacobians(jacobians, **options):
    T, D, _ = jacobians.shape
    network = lyapy.Network([GivenJacobian(D)])
    return lyapy.covariant_vectors(network, jacobians.reshape(T, D * D), **options)


def sines(vectors, exact):
    """Return the sines of the angles between rows and the directions of others."""
    exact = exact / np.linalg.norm(exact, axis=-1, keepdims=True)
    return np.linalg.norm(vectors - exact * np.sum(vectors * exact, -1, keepdims=True), axis=-1)


def triangular(steps, first, second, seed=0):
    rng = np.random.default_rng(seed)
    a, d = (np.exp(0.3 * rng.normal(size=steps) + mean) for mean in (first, second))
    a *= rng.choice([-1.0, 1.0], steps)
    b = rng.normal(size=steps)
    J = np.zeros((steps, 2, 2))
    J[:, 0, 0], J[:, 0, 1], J[:, 1, 1] = a, b, d
    return J, a, b, d


def test_the_slow_vector_of_triangular_jacobians():
    J, a, b, d = triangular(600, 0.3, -0.3)
    found = of_jacobians(J, transient=100, backward_transient=200)
    s, exact = 0.0, np.ones((600, 2))
    for t in range(599, -1, -1):
        s = (d[t] * s - b[t]) / a[t]
        exact[t, 0] = s
    assert sines(found.vectors[:, 1], exact[found.steps]).max() < 1e-13
    assert sines(found.vectors[:, 0], np.array([[1.0, 0.0]])).max() < 1e-13
    np.testing.assert_allclose(found.growth[:, 0], np.log(np.abs(a[found.steps])), atol=1e-13)
    assert np.nanmax(found.covariance_error) < 1e-13
    assert not found.advice


def test_the_fast_vector_of_triangular_jacobians():
    J, a, b, d = triangular(600, -0.3, 0.3)
    found = of_jacobians(J, transient=200, backward_transient=100)
    s, exact = 0.0, np.ones((600, 2))
    for t in range(599):
        s = (a[t] * s + b[t]) / d[t]
        exact[t + 1, 0] = s
    assert sines(found.vectors[:, 0], exact[found.steps]).max() < 1e-13
    assert sines(found.vectors[:, 1], np.array([[1.0, 0.0]])).max() < 1e-13


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_vectors_of_a_periodic_orbit_are_floquets(seed):
    J = np.random.default_rng(seed).normal(size=(3, 6, 6))
    found = of_jacobians(
        np.tile(J, (600, 1, 1)), transient=600, at=[900, 901, 902], tolerance=1e-12
    )
    for shift in range(3):
        product = np.eye(6)
        for step in range(3):
            product = J[(shift + step) % 3] @ product
        values, exact = np.linalg.eig(product)
        order = np.argsort(-np.abs(values), kind="stable")
        values, exact = values[order], exact[:, order].T
        np.testing.assert_allclose(found.exponents, np.log(np.abs(values)) / 3, atol=0.02)
        for i in range(6):
            if abs(values[i].imag) < 1e-12:
                assert found.group[i] == -1
                assert sines(found.vectors[shift, i], exact[i].real) < 1e-11
                continue
            plane, _ = np.linalg.qr(np.stack([exact[i].real, exact[i].imag], axis=1))
            vector = found.vectors[shift, i]
            assert np.linalg.norm(vector - plane @ (plane.T @ vector)) < 1e-11
            assert found.group[i] in (i, i - 1)


def turned(blocks, seed=0):
    """Return J with orthogonal blocks times a number each, in random directions, and these."""
    rng, D = np.random.default_rng(seed), sum(size for _, size in blocks)
    directions, J, first = rng.normal(size=(D, D)), np.zeros((D, D)), 0
    for number, size in blocks:
        own = slice(first, first + size)
        J[own, own] = number * np.linalg.qr(rng.normal(size=(size, size)))[0]
        first += size
    return directions @ J @ np.linalg.inv(directions), directions


@pytest.mark.parametrize(
    "blocks",
    [
        [(1.5, 1), (0.9, 3), (0.4, 2)],
        [(1.5, 4), (0.7, 1)],
        [(1.5, 2), (0.9, 2), (0.6, 5)],
        [(0.8, 3)],
    ],
)
def test_a_group_of_one_rate_spans_its_subspace(blocks):
    """Their spans are exact, and the vectors in them are covariant whichever they are."""
    J, directions = turned(blocks)
    found = of_jacobians(np.tile(J, (400, 1, 1)), transient=200, at=[290, 291])
    assert not found.advice and found.converged.all()
    firsts = np.cumsum([0, *(size for _, size in blocks)])
    for first, (number, size) in zip(firsts, blocks, strict=False):
        members = slice(first, first + size)
        np.testing.assert_array_equal(found.group[members], first if size > 1 else -1)
        exact = directions[:, members]
        for vectors in found.vectors[:, members]:
            assert subspace_angles(vectors.T, exact).max() < 1e-11
            assert np.linalg.matrix_rank(vectors, tol=1e-3) == size
        np.testing.assert_allclose(found.exponents[members], np.log(number), atol=0.02)
    images = found.vectors[0] @ J.T
    assert sines(found.vectors[1], images).max() < 1e-11
    for j in range(1, len(J)):
        angles = found.splitting_angle(j)
        if j in firsts:
            exact = subspace_angles(directions[:, :j], directions[:, j:]).min()
            np.testing.assert_allclose(angles, exact, atol=1e-10)
        else:
            assert np.isnan(angles).all()
    assert (f"group of {firsts[-2]} to {firsts[-1] - 1}" in str(found)) == (blocks[-1][1] > 1)


def test_a_group_that_k_divides_is_missing():
    J, _ = turned([(1.5, 1), (0.9, 3), (0.4, 1)])
    found = of_jacobians(np.tile(J, (400, 1, 1)), transient=200, at=[290], k=3)
    np.testing.assert_array_equal(found.converged[0], [True, False, False])
    assert "Vectors 1, 2 have not converged on the way forward" in found.advice


def test_angles_of_henons_map_have_their_known_distribution():
    network, options = henon()
    found = lyapy.covariant_vectors(network, steps=8000, backward_transient=100, **options)
    assert np.max(found.covariance_error) < 1e-12
    degrees = np.degrees(found.angle(0, 1))
    # five standard errors, of values over 10⁵ steps
    for below, share in ((1.0, 0.0045), (5.0, 0.0218)):
        assert np.mean(degrees < below) == pytest.approx(share, abs=5 * np.sqrt(share / 8000))
    assert np.median(degrees) == pytest.approx(54.9, abs=1.5)
    np.testing.assert_allclose(found.splitting_angle(1), found.angle(0, 1), atol=1e-8)
    for window, share in ((1, 0.0211), (2, 0.0049), (5, 0.00009), (10, 0.0)):
        error = 5 * np.sqrt(share / 8000) + 1e-4
        assert found.domination_broken(1, window) == pytest.approx(share, abs=error)


def lorenz(dt):
    def flow(h):
        return np.array(
            [10.0 * (h[1] - h[0]), h[0] * (28.0 - h[2]) - h[1], h[0] * h[1] - 8.0 / 3.0 * h[2]]
        )

    def slope(h):
        return np.array([[-10.0, 10.0, 0.0], [28.0 - h[2], -1.0, -h[0]], [h[1], h[0], -8.0 / 3.0]])

    def step(h, x):
        total, stage = np.zeros(3), np.zeros(3)
        for ahead, weight in ((0.0, 1), (0.5, 2), (0.5, 2), (1.0, 1)):
            stage = flow(h + ahead * dt * stage)
            total += weight / 6 * dt * stage
        return h + total

    def step_jacobian(h, x):
        total, stage, along = np.zeros((3, 3)), np.zeros(3), np.zeros((3, 3))
        for ahead, weight in ((0.0, 1), (0.5, 2), (0.5, 2), (1.0, 1)):
            point, moved = h + ahead * dt * stage, np.eye(3) + ahead * dt * along
            stage, along = flow(point), slope(point) @ moved
            total += weight / 6 * dt * along
        return np.eye(3) + total

    return step, step_jacobian, flow


def test_the_neutral_vector_of_lorenz_is_the_flow():
    """The neutral vector is the flow, up to dt⁴; the stable one keeps its distance."""
    largest = []
    for dt in (0.01, 0.005):
        step, step_jacobian, flow = lorenz(dt)
        network = lyapy.Network([lyapy.Map(step, step_jacobian, 3)])
        state = np.array([1.0, 2.0, 20.0])
        states = [state := np.asarray(step(state, None)) for _ in range(int(70 / dt))]
        begin, end = int(30 / dt), int(40 / dt)
        at = range(begin, end, round(0.02 / dt))
        found = lyapy.covariant_vectors(
            network, steps=int(35 / dt), transient=begin, at=at, initial_state=[1.0, 2.0, 20.0]
        )
        assert not found.advice
        flows = np.stack([flow(states[t - 1]) for t in found.steps])
        largest.append(sines(found.vectors[:, 1], flows).max())
        assert np.degrees(found.splitting_angle(2)).min() > 3.0
    assert largest[0] < 1e-5
    assert 12.0 < largest[0] / largest[1] < 24.0


def test_the_stable_vector_of_lorenz_keeps_its_distance():
    """As far apart as in 320 units of time, where the least angle is 8 to 10°, the median 67°."""
    step, step_jacobian, _ = lorenz(0.01)
    network = lyapy.Network([lyapy.Map(step, step_jacobian, 3)])
    found = lyapy.covariant_vectors(
        network, steps=10_000, transient=4000, at=range(4000, 11_000, 5),
        initial_state=[1.0, 2.0, 20.0],
    )  # fmt: skip
    assert found.converged.all()
    degrees = np.degrees(found.splitting_angle(2))
    assert 8.0 < degrees.min() < 20.0
    assert np.median(degrees) == pytest.approx(67.0, abs=4.0)
    # per unit of time, in 100 of them
    np.testing.assert_allclose(found.exponents / 0.01, [0.906, 0.0, -14.572], atol=0.1)


def test_units_that_do_not_read_one_another():
    gru = lyapy.random_network("gru", 5, 2, bias=1.0, seed=3).cells[0]
    U = np.zeros_like(gru.weights.U)
    network = lyapy.Network([lyapy.GRU(gru.W, U, gru.b)])
    inputs = np.random.default_rng(0).normal(size=(300, 2))
    found = lyapy.covariant_vectors(network, inputs, transient=10)
    assert set(np.unique(np.abs(found.vectors))) == {0.0, 1.0}
    np.testing.assert_array_equal(np.abs(found.vectors), np.abs(found.vectors[:1]).repeat(290, 0))
    wanted = lyapy.lyapunov_spectrum(network, inputs, transient=10).exponents
    np.testing.assert_allclose(found.exponents, wanted, atol=1e-13)
    np.testing.assert_allclose(found.growth.mean(axis=0), wanted, atol=1e-13)


def test_vectors_spread_from_all_units_to_few():
    """Of x′ = U tanh x: from all units in the first vector to few, saturated ones in the last."""
    network = lyapy.random_network("rate", 64, gain=3.0, seed=1, dt=1.0)
    at = range(1200, 1500, 10)
    found = lyapy.covariant_vectors(network, steps=1500, transient=1000, at=at, tolerance=1e-4)
    first, last = found.participation_ratio[:, [0, -1]].T
    assert 20.0 < np.nanmean(first) < 25.0
    assert 1.0 < np.nanmean(last) < 2.0
    # deviation vectors are spread alike, from the first to the last
    spectrum = lyapy.lyapunov_spectrum(
        network, steps=64, transient=1000, trajectories=12, dt="step"
    )
    ratios = spectrum.participation_ratio.reshape(12, 8, 8).mean(axis=(0, 2))
    assert 21.0 < ratios.min() < ratios.max() < 24.5


@pytest.mark.parametrize(
    ("kind", "options"),
    [("lstm", {}), ("gru", {"layers": 2}), ("vanilla", {"gain": 3.0}), ("reservoir", {})],
)
def test_the_jacobian_maps_vectors_to_vectors(kind, options):
    """Checked with the dense Jacobian, layers of a stack as one state."""
    network = lyapy.random_network(kind, 6, 2, seed=4, **options)
    inputs = np.random.default_rng(0).normal(size=(2500, 2))
    found = lyapy.covariant_vectors(network, inputs, transient=1000, k=4, at=range(1050, 1090))
    start = np.zeros(network.state_size)
    states = np.concatenate([[start], forward_chunk(network, inputs, start).states])
    assert found.converged[:, 0].all() and found.converged.mean() > 0.7
    for row in range(39):
        J = jacobian(network, states[found.steps[row]], inputs[found.steps[row]])
        images = found.vectors[row] @ J.T
        here = np.isfinite(images[:, 0] + found.vectors[row + 1][:, 0])
        assert sines(found.vectors[row + 1][here], images[here]).max() < 1e-7
        np.testing.assert_allclose(
            np.log(np.linalg.norm(images[here], axis=1)), found.growth[row][here], atol=1e-9
        )


def test_memory_is_bounded_and_the_bits_are_the_same(monkeypatch):
    network = lyapy.random_network("vanilla", 8, gain=2.0, seed=1)
    options = {"steps": 1500, "transient": 100, "at": range(150, 1400, 7)}
    whole = lyapy.covariant_vectors(network, **options)
    monkeypatch.setattr(passes, "KEPT", 3)
    deep = lyapy.covariant_vectors(network, **options)
    np.testing.assert_array_equal(whole.vectors, deep.vectors)
    np.testing.assert_array_equal(whole.growth, deep.growth)
    assert deep.settings["memory_bytes"] < whole.settings["memory_bytes"]


def test_vectors_that_have_not_converged_are_missing():
    network = lyapy.random_network("vanilla", 16, gain=2.0, seed=1)
    found = lyapy.covariant_vectors(network, steps=400, transient=100)
    assert np.isnan(found.vectors[-1, -1]).all() and np.isnan(found.growth[-1, -1])
    np.testing.assert_array_equal(np.isnan(found.vectors).all(axis=2), ~found.converged)
    assert "have not converged on the way forward" in found.advice
    assert "Give more steps after them; gaps of the exponents suggest about" in found.advice
    longer = lyapy.covariant_vectors(network, steps=6000, transient=100, at=found.steps)
    both = found.converged & longer.converged
    assert sines(found.vectors[both], longer.vectors[both]).max() < 1e-7
    assert np.count_nonzero(longer.converged) > np.count_nonzero(found.converged)


def test_dead_directions_have_no_vectors():
    rng = np.random.default_rng(0)
    U = rng.normal(size=(6, 6))
    U[:, 2] = U[:, 4]
    network = lyapy.Network([lyapy.Vanilla(np.zeros((6, 0)), U)])
    found = lyapy.covariant_vectors(network, steps=1500, transient=100, at=[200])
    assert found.vectors.shape == (1, 5, 6)
    spectrum = lyapy.lyapunov_spectrum(network, steps=1500, transient=100)
    np.testing.assert_allclose(found.exponents, spectrum.exponents[:5], atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": [5]}, "at holds step 5; between the transients lie steps 10 to 99"),
        ({"at": [99], "backward_transient": 20}, "at holds step 99.*10 to 79"),
        ({"backward_transient": 90}, "too few for transient=10 and backward_transient=90"),
        ({"k": 9}, "k is 9"),
        ({"initial_state": np.zeros((2, 4))}, "2 trajectories, and vectors follow one"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    network = lyapy.random_network("vanilla", 4, gain=2.0)
    with pytest.raises(ValueError, match=message):
        lyapy.covariant_vectors(network, steps=90, transient=10, **options)


def test_a_layer_whose_program_does_not_read_its_input_is_refused():
    above = lyapy.Map(lambda h, x: h + x, lambda h, x: np.eye(4), 4, inputs=4)
    network = lyapy.Network([*lyapy.random_network("vanilla", 4).cells, above])
    with pytest.raises(ValueError, match="layer 1, map, has no term of the deviation"):
        lyapy.covariant_vectors(network, steps=90)
