"""The kernels of the GPU engine, one by one: their text as CUDA compiles it, run on the host."""

import numpy as np
import pytest

import lyapy
from lyapy.cells import CELLS
from lyapy.networks.apply import tangent_step
from lyapy.networks.forward import forward_chunk
from lyapy.networks.network import Network
from lyapy.runs.gpu.batch import moved_network
from lyapy.tangent import interval
from lyapy.tangent.gpu import tangent as large_frames
from lyapy.tangent.gpu.device import COMPILER, EXACT, PRECISIONS
from lyapy.tangent.gpu.fused_forward import Constant, FusedForward, NotTraceableError, Traced
from lyapy.tangent.gpu.kernel_text import HELPERS, cuda_functions
from lyapy.tangent.gpu.orthonormalize import FUNCTIONS, Orthonormalizer
from lyapy.tangent.gpu.tangent import BatchStep
from lyapy.tangent.gpu.whole_tile import WholeTangent, fits
from tests.conftest import Rate
from tests.support import nvrtc, stand_in, stand_in_kernels
from tests.support.kernel_texts import kernel_texts
from tools.benchmarks.launches import qr_operations

pytestmark = pytest.mark.skipif(not stand_in_kernels.COMPILER, reason="no C++ compiler")
DOUBLE = PRECISIONS["float64"]
CONTROL = interval.make_control("auto", 1e-8, 64)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("kind", CELLS)
def test_the_forward_pass_of_every_cell_is_fused(kind):
    """It is the cell's own text, in a kernel for all steps."""
    network = lyapy.random_network(kind, 5, 3, layers=2, bias=0.3, seed=1)
    device = stand_in.stand_in()
    inputs, state = numbers(70, 2, 3), 0.5 * numbers(2, network.state_size, seed=1)
    wanted = forward_chunk(network, inputs, state)
    run = FusedForward(device)
    found = forward_chunk(
        moved_network(network, device), *map(device.to_device, (inputs, state)), run
    )
    assert not run.plain
    np.testing.assert_allclose(device.to_host(found.states), wanted.states, atol=1e-13)
    np.testing.assert_allclose(device.to_host(found.coefficients), wanted.coefficients, atol=1e-13)


class Odd(Rate):
    """A sum over the state, for which no kernel is written."""

    @staticmethod
    def step(weights, state, drive):
        return Rate.step(weights, state + 0.0 * np.sum(state), drive)


def test_a_step_that_is_not_traceable_is_computed_as_it_is(monkeypatch, caplog):
    device = stand_in.stand_in()
    monkeypatch.setattr("lyapy.tangent.engine.find_devices", lambda: (device,))
    network = Network([Odd(numbers(4, 4) / 3, 0.2, numbers(4, 2))])
    options = {"initial_state": np.zeros((1, 4))}
    with caplog.at_level("INFO"):
        found = lyapy.lyapunov_spectrum(network, numbers(1, 70, 2), backend="cupy", **options)
    assert "the forward pass of a layer launches a kernel for each operation: sum" in caplog.text
    wanted = lyapy.lyapunov_spectrum(network, numbers(1, 70, 2), backend="numpy", **options)
    np.testing.assert_allclose(found.exponents, wanted.exponents, atol=1e-9)


@pytest.mark.parametrize("merged_share", [0.0, 9.0])
@pytest.mark.parametrize("kind", CELLS)
def test_the_tangent_step_of_every_cell_agrees_with_numpy(kind, merged_share, monkeypatch):
    """With one matrix for each trajectory, and with products of constant weights."""
    monkeypatch.setattr(large_frames, "MERGED_SHARE", merged_share)
    network = lyapy.random_network(kind, 6, 3, layers=2, seed=1)
    program, device = network.program, stand_in.stand_in()
    entries = sum(c.size for layer in program.coefficients for c in layer.values())
    D, take = program.state_size, BatchStep(program, 3, device)
    values, frame = numbers(2, entries), numbers(2, 3, take.width)
    found = device.to_host(take(device.to_device(values), device.to_device(frame)))
    wanted = tangent_step(program, values, frame[..., :D])
    np.testing.assert_allclose(found[..., :D], wanted, atol=1e-13)


def graded_rows(B, k, D, spread):
    """Rows whose R_ii spread by about so much, evenly."""
    lower = np.tril(numbers(B, k, k), -1) / k + np.eye(k)
    orthonormal = np.linalg.qr(numbers(B, D, k))[0]
    return (lower * np.exp(np.linspace(0.0, -spread, k))) @ np.swapaxes(orthonormal, 1, 2)


# room for all rows, for some, and for none, which stay where they are
@pytest.mark.parametrize("shared", [96 * 1024, 10_000, 8_400])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("k", "D"), [(1, 1), (1, 5), (7, 7), (20, 33), (41, 41)])
def test_orthonormalization_agrees_with_householders(k, D, precision, shared):
    """R_ii and R⁻ᵀ b are those of Householder's QR, and growth and errors follow from them."""
    arithmetic, B = PRECISIONS[precision], 3
    half = shared if precision == "float64" else shared // 2
    device = stand_in.stand_in()._replace(shared_bytes=half, precision=arithmetic)
    control = interval.make_control("auto", arithmetic.tolerance, 64, arithmetic.roundoff)
    spread = 0.5 * control.limit
    rows = graded_rows(B, k, D, spread).astype(precision)
    frames = np.full((B, k, D + 3), np.nan, precision)
    frames[..., :D] = rows
    qr = Orthonormalizer(k, D, device, control)
    assert qr.panel == k or shared < 96 * 1024
    assert qr.panel < k or shared > 10_000 or k <= 7
    on_device, sums = device.to_device(frames), numbers(B, 3, k)
    counted, state = map(device.to_host, qr(on_device, device.to_device(sums)))
    u = arithmetic.roundoff
    atol = 30.0 * k * u * np.exp(spread)
    signs = np.array([interval.dual_sign(i) for i in range(k)])
    for b in range(B):
        upper = np.linalg.qr(rows[b].T.astype(np.float64))[1]
        upper *= np.sign(np.diagonal(upper))[:, None]
        log_r, duals = np.log(np.diagonal(upper)), np.linalg.solve(upper.T, signs)
        Q = device.to_host(on_device)[b, :, :D]
        np.testing.assert_allclose(Q @ Q.T, np.eye(k), atol=atol)
        np.testing.assert_allclose(Q[0], rows[b, 0] / np.linalg.norm(rows[b, 0]), atol=9 * u)
        np.testing.assert_allclose(counted[b, 0] - sums[b, 0], log_r, atol=atol)
        noise = [
            interval.image_noise(*one, control.fixed)
            for one in zip(log_r, [log_r[0]] * k, duals, strict=True)
        ]
        np.testing.assert_allclose(counted[b, 2], noise, rtol=0.1)
        wanted = sums[b, 1] + u * counted[b, 2]
        np.testing.assert_allclose(counted[b, 1], wanted, rtol=1e-12)
        extremes = log_r.max(), log_r.min(), np.abs(duals).max()
        wanted = interval.interval_spread(*extremes, control.limit)
        wanted = max(wanted, np.abs(log_r).max() * control.limit / arithmetic.log_range)
        np.testing.assert_allclose(state[b, 3], wanted, rtol=1e-2, atol=atol)


@pytest.mark.parametrize(("n", "most"), [(128, 1), (256, 15), (512, 60), (1024, 220)])
def test_few_operations_orthonormalize_a_frame(n, most):
    assert qr_operations(n) <= most


def test_growth_that_rounding_hides_is_counted_by_its_bound():
    device, k = stand_in.stand_in(), 3
    qr = Orthonormalizer(k, k, device, CONTROL)
    frames = np.zeros((1, k, k + 1))
    frames[0, :, :k] = np.diag([1.0, 1e-6, 1e-12])
    counted, state = qr(device.to_device(frames), device.to_device(np.zeros((1, 3, k))))
    floor = np.log(k * 2.0**-53)
    wanted = [0.0, np.log(1e-6), np.logaddexp(np.log(1e-12), floor)]
    np.testing.assert_allclose(device.to_host(counted)[0, 0], wanted, atol=1e-12)
    assert device.to_host(state)[0, 3] > CONTROL.limit


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_rows_that_vanish_or_overflow_make_the_spread_infinite(value):
    device = stand_in.stand_in()
    qr = Orthonormalizer(2, 3, device, CONTROL)
    frames = np.eye(4)[None, :2].copy()
    frames[0, 1] = value
    _, state = qr(device.to_device(frames), device.to_device(np.zeros((1, 3, 2))))
    assert device.to_host(state)[0, 3] == np.inf


NUMBERS = [0.0, 1e-3, 0.7, 1.0, 4.0, 12.0, 17.9, 27.0, 40.0, 301.0, 800.0, np.inf, np.nan]
FINITE = NUMBERS[1:10]
ARGUMENTS = {
    "interval_spread": [(x, -y, z, 18.0) for x in NUMBERS for y in NUMBERS for z in NUMBERS],
    "first_steps": [(x, n, 18.0, f) for x in FINITE for n in (1, 7, 64) for f in (0, 1, 9)],
    "repeated_steps": [(n, x, 18.0, f) for x in NUMBERS for n in (1, 2, 64) for f in (0, 3)],
    "next_rate": [(x, y, n) for x in FINITE for y in FINITE for n in (1, 5)],
    "dual_sign": [(n,) for n in range(40)],
    "counted_growth": [(-x, 1.0, 18.0, -30.0) for x in FINITE],
    "image_noise": [
        (-x, y, z, f) for x in NUMBERS[:11] for y in FINITE for z in (-3.0, 5.0) for f in (0, 9)
    ],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_functions_of_the_interval_are_the_same_on_the_device(name):
    cases = ARGUMENTS[name]
    kinds = [type(one) for one in cases[0]]
    given = ", ".join(
        f"({'long long' if kind is int else 'double'})x[{len(kinds)} * i + {j}]"
        for j, kind in enumerate(kinds)
    )
    functions = cuda_functions(*(getattr(interval, one) for one in FUNCTIONS))
    text = f"""typedef double real;{HELPERS}{functions}
    extern "C" __global__ void call(const double* x, double* y, long long count)
    {{ for (long long i = 0; i < count; i++) y[i] = {name}({given}); }}
    """
    found, function = np.zeros(len(cases)), getattr(interval, name)
    stand_in_kernels.run(text, "call", 1, 1, [np.array(cases, float), found, len(cases)], 0)
    np.testing.assert_allclose(found, [function(*one) for one in cases], rtol=1e-15)


@pytest.mark.parametrize("text", ["for i in x: pass", "return max(x)", "return x ** 2", "x += 1"])
def test_functions_that_cannot_be_translated_are_refused(text, tmp_path, monkeypatch):
    (tmp_path / "odd_function.py").write_text(f"def odd(x: float) -> float:\n    {text}\n")
    monkeypatch.syspath_prepend(tmp_path)
    import odd_function

    monkeypatch.delitem(__import__("sys").modules, "odd_function")
    with pytest.raises((NotImplementedError, KeyError)):
        cuda_functions(odd_function.odd)


ORDERS = range(10)
BARRIER = "__syncthreads();"
# of each kernel those that matter; one of a projected LSTM orders what each thread does by itself
BARRIERS = {
    "panel": range(8),
    "pass gru": range(2),
    "pass lstm-projected": (0, 1, 3),
    "whole_tile": range(8),
}


class Launch:
    """A kernel and the arguments of its launch, noted from a call on the stand-in."""

    def __init__(self, text, name, grid, arguments, shared):
        self.text, self.name, self.grid, self.shared = text, name, grid, shared
        self.arguments = [x if isinstance(x, int) else x._data.copy() for x in arguments]

    def __call__(self, text, threads, order):
        """Return all that it has written, with so many threads in another order."""
        given = [x if isinstance(x, int) else x.copy() for x in self.arguments]
        stand_in_kernels.run(text, self.name, self.grid, threads, given, self.shared, order)
        return np.concatenate([x.ravel() for x in given if not isinstance(x, int)])


def launch_of(name):
    """Return a launch of a kernel with barriers."""
    noted = []

    def compile_kernel(text, name, exact=False):
        def launch(grid, block, arguments, shared=0):
            noted.append(Launch(text, name, grid, arguments, shared))

        return launch

    device = stand_in.stand_in()._replace(compile_kernel=compile_kernel)
    if name == "panel":
        # more columns than add up norms, more rows than are projected together
        qr = Orthonormalizer(19, 40, device, CONTROL)
        qr(device.to_device(numbers(2, 19, 48)), device.to_device(numbers(2, 3, 19)))
    elif name.startswith("pass"):
        network = lyapy.random_network(name[5:], 5, 3, bias=0.3, seed=1)
        arrays = numbers(4, 2, 3), 0.5 * numbers(2, network.state_size)
        run = FusedForward(device)
        forward_chunk(moved_network(network, device), *map(device.to_device, arrays), run)
    else:
        network = lyapy.random_network("lstm", 5, 3, layers=2, seed=1)
        entries = sum(c.size for layer in network.program.coefficients for c in layer.values())
        tangent = WholeTangent(network.program, numbers(2, 9, 20), np.ones(2), device, CONTROL)
        values, alive = device.to_device(numbers(3, 2, entries)), np.array([[9, 7]])
        # the kernel, which is noted only, has written no results
        with np.errstate(invalid="ignore"):
            tangent.advance(values, np.array([3]), alive, np.zeros(2, bool))
    return noted[0]


@pytest.mark.parametrize("threads", [1, 3, 256])
@pytest.mark.parametrize("name", BARRIERS)
def test_the_order_of_threads_does_not_matter(name, threads):
    """Where it did, a barrier would be missing."""
    launch = launch_of(name)
    wanted = launch(launch.text, 1, 0)
    for order in ORDERS:
        np.testing.assert_array_equal(launch(launch.text, threads, order), wanted)


@pytest.mark.parametrize(
    ("name", "which"),
    [(name, i) for name, barriers in BARRIERS.items() for i in barriers],
)
def test_a_missing_barrier_is_seen(name, which):
    """Any of them: the check of the order of threads can fail."""
    launch = launch_of(name)
    parts = launch.text.split(BARRIER)
    assert len(parts) == max(BARRIERS[name]) + 2
    parts[which : which + 2] = [parts[which] + parts[which + 1]]
    text = BARRIER.join(parts)
    wanted = launch(launch.text, 1, 0)
    try:
        found = [launch(text, 64, order) for order in ORDERS]
    except RuntimeError as error:
        assert "only some of the threads" in str(error)
    else:
        assert not all(np.array_equal(one, wanted, equal_nan=True) for one in found)


def test_a_kernel_that_writes_behind_its_shared_memory_is_seen():
    text = """typedef double real;
    extern "C" __global__ void behind(double* x, long long at)
    { extern __shared__ double memory[]; __syncthreads(); memory[at] = x[0]; }
    """
    stand_in_kernels.run(text, "behind", 1, 2, [np.ones(1), 3], 32)
    with pytest.raises(RuntimeError, match="behind writes behind its shared memory"):
        stand_in_kernels.run(text, "behind", 1, 2, [np.ones(1), 4], 32)


def test_an_entry_of_a_state_is_not_traced():
    """It would be that of the first trajectory, for all."""
    state, weight = Traced(3, "state"), Constant(3, "c0")
    assert weight[1].shape == ()
    with pytest.raises(NotTraceableError, match="an entry that differs among trajectories"):
        state[1]


def test_small_frames_go_through_a_tile_in_one_launch():
    hopper = stand_in.stand_in()._replace(shared_bytes=232448)
    for n, precision, small in ((96, "float64", True), (104, "float64", False)):
        program = lyapy.random_network("gru", n, seed=1).program
        assert fits(program, n, hopper._replace(precision=PRECISIONS[precision])) == small
        assert fits(program, n, hopper._replace(precision=PRECISIONS["float32"]))


@pytest.fixture(scope="module")
def library():
    found = nvrtc.library()
    if found is None:
        pytest.skip("NVRTC is not installed: nvidia-cuda-nvrtc-cu12")
    return found


@pytest.mark.parametrize("precision", PRECISIONS)
def test_cuda_compiles_the_kernels(precision, library):
    """NVIDIA's own compiler does not need a GPU; nothing is spilled from registers."""
    texts = kernel_texts(precision)
    assert len(texts) > 50
    found = {
        text: nvrtc.compile_text(library, text, EXACT if exact else COMPILER)
        for text, (_, exact) in texts.items()
    }
    assert max(one.registers for one in found.values()) <= 128
    local = [texts[text] for text, one in found.items() if one.stack or one.spilled]
    assert not local


def test_spilled_registers_are_seen(library):
    """By a kernel that indexes a local array."""
    text = """extern "C" __global__ void wide(double* x, long long j)
    {
        double own[64];
        for (int i = 0; i < 64; i++) own[i] = x[i] * i;
        for (int i = 0; i < 64; i++) x[i] = own[(i * j) % 64];
    }
    """
    assert nvrtc.compile_text(library, text, COMPILER).stack >= 512
