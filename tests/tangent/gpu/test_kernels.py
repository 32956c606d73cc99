"""The kernels of the GPU engine, one by one: their text as CUDA compiles it, run on the host."""

import numpy as np
import pytest

import lyapy
from lyapy.cells import CELLS
from lyapy.networks.forward import forward_chunk
from lyapy.networks.network import Network
from lyapy.tangent.gpu.counting import Counting
from lyapy.tangent.gpu.device import COMPILER
from lyapy.tangent.gpu.fused_forward import FusedForward
from lyapy.tangent.gpu.fused_step import FusedStep
from lyapy.tangent.gpu.precision import PRECISIONS
from lyapy.tangent.gpu.qr import Orthonormal
from lyapy.tangent.gpu.shared_qr import SharedQR, fits
from lyapy.tangent.gpu.step import BatchStep
from lyapy.tangent.gpu.trace import NotTraceableError, Tape, Traced
from lyapy.tangent.gpu.whole_interval import WholeInterval
from tests.conftest import Rate
from tests.support import nvrtc, stand_in, stand_in_kernels
from tests.support.kernel_texts import kernel_texts, moved

pytestmark = pytest.mark.skipif(not stand_in_kernels.COMPILER, reason="no C++ compiler")
DOUBLE = PRECISIONS["float64"]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("most_columns", [0, 99])
@pytest.mark.parametrize("kind", CELLS)
def test_the_forward_pass_of_every_cell_is_fused(kind, most_columns):
    """It is the cell's own text, in a kernel for all between two products, or for all steps."""
    network, device = (
        lyapy.random_network(kind, 5, 3, layers=2, bias=0.3, seed=1),
        stand_in.stand_in(kernels=True),
    )
    inputs, state = numbers(70, 2, 3), 0.5 * numbers(2, network.state_size, seed=1)
    wanted = forward_chunk(network, inputs, state)
    run = FusedForward(device, DOUBLE, most_columns)
    found = forward_chunk(moved(network, device), *map(device.to_device, (inputs, state)), run)
    assert not run.plain
    np.testing.assert_allclose(device.to_host(found.states), wanted.states, atol=1e-13)
    np.testing.assert_allclose(device.to_host(found.coefficients), wanted.coefficients, atol=1e-13)


class Odd(Rate):
    """What kernels are not written for: a sum over the state."""

    @staticmethod
    def step(weights, state, drive):
        return Rate.step(weights, state + 0.0 * np.sum(state), drive)


def test_a_step_that_is_not_traceable_is_computed_as_it_is(monkeypatch, caplog):
    device = stand_in.stand_in(kernels=True)
    monkeypatch.setattr("lyapy.tangent.engine.find_devices", lambda: (device,))
    network = Network([Odd(numbers(4, 4) / 3, 0.2, numbers(4, 2))])
    options = {"initial_state": np.zeros((1, 4))}
    with caplog.at_level("INFO"):
        found = lyapy.lyapunov_spectrum(network, numbers(1, 70, 2), backend="cupy", **options)
    assert "the forward pass of a layer launches a kernel for each operation: sum" in caplog.text
    wanted = lyapy.lyapunov_spectrum(network, numbers(1, 70, 2), backend="numpy", **options)
    np.testing.assert_allclose(found.exponents, wanted.exponents, atol=1e-9)


@pytest.mark.parametrize("vectors", [1, 6])
@pytest.mark.parametrize("kind", CELLS)
def test_the_tangent_step_of_every_cell(kind, vectors):
    """With few vectors and with many, which go through other products."""
    network, device = (
        lyapy.random_network(kind, 6, 3, layers=2, seed=1),
        stand_in.stand_in(kernels=True),
    )
    program = network.program
    entries = sum(c.size for layer in program.coefficients for c in layer.values())
    values, frame = numbers(2, entries), numbers(2, vectors, program.state_size + 2)
    arrays = [device.to_device(values), device.to_device(frame)[..., : program.state_size]]
    wanted = BatchStep(program, vectors, device.to_device)(*arrays)
    found = FusedStep(program, vectors, device, DOUBLE)(*arrays)
    np.testing.assert_allclose(device.to_host(found), device.to_host(wanted), atol=1e-13)


@pytest.mark.parametrize("vectors", [1, 6])
@pytest.mark.parametrize("kind", CELLS)
def test_a_whole_interval_of_every_cell(kind, vectors):
    """In one launch; against the steps one by one."""
    network, device = (
        lyapy.random_network(kind, 6, 3, layers=2, seed=1),
        stand_in.stand_in(kernels=True),
    )
    program = network.program
    entries = sum(c.size for layer in program.coefficients for c in layer.values())
    values, frame = numbers(3, 2, entries), numbers(2, vectors, program.state_size + 2)
    values_, frame_ = device.to_device(values), device.to_device(frame)[..., : program.state_size]
    wanted, step = frame_, BatchStep(program, vectors, device.to_device)
    for t in range(3):
        wanted = step(values_[t], wanted)
    found = device.to_host(WholeInterval(program, device, DOUBLE)(values_, frame_))
    scale = np.abs(device.to_host(wanted)).max()
    np.testing.assert_allclose(found, device.to_host(wanted), atol=1e-13 * max(scale, 1.0))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("k", "D"), [(1, 1), (1, 5), (7, 7), (20, 33)])
def test_orthonormalization_in_shared_memory(k, D, precision):
    """R_ii and R⁻ᵀ b are those of Householder's QR."""
    device, arithmetic = stand_in.stand_in(kernels=True), PRECISIONS[precision]
    rows = numbers(3, k, D).astype(precision)
    found = SharedQR(device, arithmetic, k)(device.to_device(rows))
    atol = 1e3 * arithmetic.roundoff
    b = device.to_host(SharedQR(device, arithmetic, k)._signs)
    for i in range(3):
        columns, upper = np.linalg.qr(rows[i].T.astype(np.float64))
        signs = np.sign(np.diagonal(upper))
        frame, log_r, duals = (device.to_host(x)[i] for x in found[:3])
        extremes = device.to_host(found.extremes)[:, i]
        assert extremes.tolist() == [log_r.max(), log_r.min(), np.abs(duals).max()]
        np.testing.assert_allclose(frame, (columns * signs).T, atol=atol)
        np.testing.assert_allclose(log_r, np.log(np.abs(np.diagonal(upper))), atol=atol)
        wanted = np.linalg.solve(upper.T * signs, b)
        np.testing.assert_allclose(duals, wanted, rtol=atol * np.linalg.cond(upper))


ORDERS = range(10)
BARRIER = "__syncthreads();"
# of each kernel those that matter; one of a projected LSTM orders what each thread does by itself
BARRIERS = {
    "orthonormalize": range(5),
    "pass gru": range(2),
    "pass lstm-projected": (0, 1, 3),
    "walk": range(13),
}


class Launch:
    """A kernel and what it is launched with, noted from a call on the stand-in."""

    def __init__(self, text, name, grid, arguments, shared):
        self.text, self.name, self.grid, self.shared = text, name, grid, shared
        self.arguments = [x if isinstance(x, int) else x._data for x in arguments]

    def __call__(self, text, threads, order):
        """Return all that it has written, with so many threads in another order."""
        given = [x if isinstance(x, int) else x.copy() for x in self.arguments]
        stand_in_kernels.run(text, self.name, self.grid, threads, given, self.shared, order)
        return np.concatenate([x.ravel() for x in given if not isinstance(x, int)])


def launch_of(name):
    """Return a launch of a kernel with barriers."""
    noted = []

    def compile_kernel(text, name):
        def launch(grid, block, arguments, shared=0):
            noted.append(Launch(text, name, grid, arguments, shared))

        return launch

    device = stand_in.stand_in(kernels=True)._replace(compile_kernel=compile_kernel)
    if name == "orthonormalize":
        # more columns than add up norms
        SharedQR(device, DOUBLE, 9)(device.to_device(numbers(2, 9, 40)))
    elif name.startswith("pass"):
        network = lyapy.random_network(name[5:], 5, 3, bias=0.3, seed=1)
        arrays = numbers(4, 2, 3), 0.5 * numbers(2, network.state_size)
        run = FusedForward(device, DOUBLE)
        forward_chunk(moved(network, device), *map(device.to_device, arrays), run)
    else:
        program = lyapy.random_network("lstm", 5, 3, layers=2, seed=1).program
        entries = sum(c.size for layer in program.coefficients for c in layer.values())
        arrays = numbers(3, 2, entries), numbers(2, 9, program.state_size)
        WholeInterval(program, device, DOUBLE)(*map(device.to_device, arrays))
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
    same = [np.array_equal(launch(text, 64, order), wanted, equal_nan=True) for order in ORDERS]
    assert not all(same)


@pytest.mark.parametrize("hidden", [False, True])
def test_growth_and_errors_are_counted_by_a_kernel(hidden):
    """From the same text as by the array module's functions, and as the CPU's bookkeeping does."""
    log_r, duals = -9.0 * np.abs(numbers(3, 7)), numbers(3, 7, seed=1)
    growth, error = numbers(3, 7, seed=2), np.abs(numbers(3, 7, seed=3))
    extremes = np.stack([log_r.max(axis=1), log_r.min(axis=1), np.abs(duals).max(axis=1)])
    top, limit, roundoff = extremes[0][:, None], 10.0, 1e-7
    noise = np.exp(top) * np.maximum(np.exp(-log_r), np.abs(duals))
    raised = np.logaddexp(log_r, np.log(9 * roundoff) + top)
    below = hidden & (top - log_r > limit)
    assert below.any() == hidden
    wanted = growth + np.where(below, raised, log_r), error + roundoff * noise, noise
    for kernels in (False, True):
        device = stand_in.stand_in(kernels=kernels)
        arrays = map(device.to_device, (log_r, duals, extremes, growth, error))
        log_r_, duals_, extremes_, *totals = arrays
        found = Counting(device, 9, limit, roundoff)(
            Orthonormal(None, log_r_, duals_, extremes_), *totals, hidden
        )
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(device.to_host(one), other, rtol=1e-14)


def test_an_entry_of_a_state_is_not_traced():
    """It would be that of the first trajectory, for all."""
    tape = Tape()
    state, weight = (Traced(tape, tape.add(("read", name, 0), 3)) for name in ("state", "c0"))
    assert weight[1].shape == ()
    with pytest.raises(NotTraceableError, match="what differs among trajectories"):
        state[1]


def test_which_frames_fit_into_shared_memory(choose):
    choose()
    hopper = stand_in.stand_in(kernels=True)._replace(shared_bytes=232448)
    assert fits(hopper, DOUBLE, 160, 160)
    assert not fits(hopper, DOUBLE, 192, 192)
    assert fits(hopper, PRECISIONS["float32"], 192, 192)
    assert not fits(stand_in.stand_in(), DOUBLE, 2, 2)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_cuda_compiles_the_kernels(precision):
    """NVIDIA's own compiler does not need a GPU; nothing is spilled from registers."""
    library = nvrtc.library()
    if library is None:
        pytest.skip("NVRTC is not installed: nvidia-cuda-nvrtc-cu12")
    texts = kernel_texts(precision)
    assert len(texts) > 50
    found = {text: nvrtc.compile_text(library, text, COMPILER) for text in texts}
    assert max(one.registers for one in found.values()) <= 128
    local = [texts[text] for text, one in found.items() if one.stack or one.spilled]
    assert not local


def test_what_is_spilled_is_seen():
    """By a kernel that indexes an array of its own."""
    library = nvrtc.library()
    if library is None:
        pytest.skip("NVRTC is not installed: nvidia-cuda-nvrtc-cu12")
    text = """extern "C" __global__ void wide(double* x, long long j)
    {
        double own[64];
        for (int i = 0; i < 64; i++) own[i] = x[i] * i;
        for (int i = 0; i < 64; i++) x[i] = own[(i * j) % 64];
    }
    """
    assert nvrtc.compile_text(library, text, COMPILER).stack >= 512
