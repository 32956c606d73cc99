"""GPUs are found, and where there is none the error names the remedy."""

import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy.cells.sparse import as_weight
from lyapy.cli import main
from lyapy.errors import DeviceError
from lyapy.tangent.gpu import device


def raw_kernels():
    """RawKernel, whose objects of the same text share one function and its limit."""
    limits = {}

    class RawKernel:
        def __init__(self, text, name, options):
            self.text = text

        def __setattr__(self, name, value):
            if name == "max_dynamic_shared_size_bytes":
                limits[self.text] = value
            object.__setattr__(self, name, value)

        def __call__(self, grid, block, arguments, shared_mem):
            if shared_mem > limits.get(self.text, 48 * 1024):
                raise RuntimeError("CUDA_ERROR_INVALID_VALUE: invalid argument")

    return RawKernel


def cupy_of(devices):
    """A module that stands for CuPy on a machine with so many devices, or none to ask about."""

    def count():
        if devices is None:
            raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
        return devices

    runtime = SimpleNamespace(
        getDeviceCount=count,
        getDeviceProperties=lambda number: {
            "name": f"GPU {number}".encode(),
            "sharedMemPerBlockOptin": 232448,
        },
        runtimeGetVersion=lambda: 12080,
    )
    current = SimpleNamespace(mem_info=(3 * 10**9, 8 * 10**9))
    return SimpleNamespace(
        zeros=np.zeros,
        RawKernel=raw_kernels(),
        cuda=SimpleNamespace(runtime=runtime, Device=lambda number: nullcontext(current)),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 10**9),
        asarray=None,
        asnumpy=np.asarray,
        empty=np.empty,
        __version__="14.2.0",
        __spec__=object(),
    )


@pytest.fixture(autouse=True)
def _products(monkeypatch):
    monkeypatch.setattr(device, "_multiplier", lambda cupy: lambda *arrays: None)


def test_sparse_products_are_tried_before_the_run(monkeypatch):
    """cuSPARSE is needed by some networks only."""

    class Refusing:
        def __init__(self, arrays, shape):
            self.shape = shape

        def __matmul__(self, other):
            raise ImportError("libcusparse.so.12: cannot open shared object file")

    cupy = cupy_of(1)
    cupy.asarray = np.asarray
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for name in ("cupyx", "cupyx.scipy", "cupyx.scipy.sparse"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(csr_matrix=Refusing))
    (found,) = device.find_devices()
    with pytest.raises(DeviceError, match=r"cannot use it \(libcusparse.so.12.*cupy-cuda12x"):
        found.moved(as_weight(csr_array(np.eye(2)), "U", (2, 2)))


def test_one_file_imports_cupy_and_only_when_asked():
    package = Path(lyapy.__file__).parent
    importing = re.compile(r"^\s*(import|from) cupyx?\b", re.MULTILINE)
    files = [path for path in package.rglob("*.py") if importing.search(path.read_text())]
    assert files == [package / "tangent/gpu/device.py"]
    code = "import sys, lyapy.runs.lyapunov; sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("devices", [None, 0])
def test_a_machine_without_a_gpu(devices, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", cupy_of(devices))
    with pytest.raises(DeviceError, match=r"no NVIDIA GPU.*use backend='numba'"):
        lyapy.lyapunov_spectrum(lyapy.random_network("gru", 3), steps=5, backend="cupy")
    assert main(["info", "--system"]) == 0
    assert re.search(
        r"^GPU: none: backend='cupy' finds no NVIDIA GPU", capsys.readouterr().out, re.M
    )


def test_a_machine_with_a_gpu(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", cupy_of(1))
    (found,) = device.find_devices()
    assert (found.name, found.free_bytes()) == ("GPU 0, CUDA 12.8, CuPy 14.2.0", 4 * 10**9)
    assert main(["info", "--system"]) == 0
    assert "\nGPU: GPU 0, CUDA 12.8, CuPy 14.2.0, 4 GB free\n" in capsys.readouterr().out


def test_a_machine_with_two_gpus(monkeypatch, capsys):
    """CUDA_VISIBLE_DEVICES decides on them; all that are seen are used."""
    monkeypatch.setitem(sys.modules, "cupy", cupy_of(2))
    assert [found.name[:5] for found in device.find_devices()] == ["GPU 0", "GPU 1"]
    assert main(["info", "--system"]) == 0
    assert re.search(r"^GPU: GPU 0.* free; GPU 1.* free$", capsys.readouterr().out, re.M)


def test_frames_of_two_sizes_in_shared_memory(monkeypatch):
    """The kernel of the second is the same function; it does not take the first one's room."""
    monkeypatch.setitem(sys.modules, "cupy", cupy_of(1))
    (found,) = device.find_devices()
    large, small = (found.compile_kernel("the same text", "orthonormalize") for _ in range(2))
    for launch, shared in ((large, 200_000), (small, 60_000), (large, 200_000), (small, 1_000)):
        launch(1, 32, (), shared)


@pytest.mark.parametrize("broken", ["zeros", "RawKernel", "asnumpy", "multiply"])
def test_a_gpu_that_cannot_be_used(broken, monkeypatch, capsys):
    """CuPy's wheel comes without CUDA's compiler and cuBLAS, and a card may be another's."""

    def missing(*arguments, **options):
        raise RuntimeError("Failed to find libnvrtc.so\nsearched in many places")

    cupy = cupy_of(1)
    setattr(cupy, broken, missing)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    if broken == "multiply":
        monkeypatch.setattr(device, "_multiplier", lambda cupy: missing)
    message = r"finds an NVIDIA GPU, but cannot use it \(.*libnvrtc.so\).*cupy-cuda12x\[ctk\]"
    with pytest.raises(DeviceError, match=message):
        device.find_devices()
    assert main(["info", "--system"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^GPU: none: backend='cupy' finds an NVIDIA GPU", out, re.M)


def test_a_machine_without_cupy_names_the_extra(monkeypatch, capsys):
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs CuPy.*lyapy\[cuda12\]"):
        device.find_devices()
    assert main(["info", "--system"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^packages: lyapy .*numpy .*numba", out, re.M)
    assert "\nGPU: none: backend='cupy' needs CuPy" in out


def test_info_needs_weights_or_a_flag(capsys):
    assert main(["info"]) == 2
    assert "WEIGHTS is missing; give a weights file, or --system" in capsys.readouterr().err
