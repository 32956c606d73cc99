"""NVIDIA's compiler for kernels, which runs without a GPU."""

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ARCHITECTURE = b"--gpu-architecture=compute_80"


@cache
def library():
    """Return the library, or None where it is not installed."""
    for name in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        found = find_spec(name) if find_spec("nvidia") else None
        for folder in found.submodule_search_locations if found else ():
            for path in sorted(Path(folder, "lib").glob("libnvrtc.so.*")):
                return ctypes.CDLL(str(path))
    return None


def compile_text(nvrtc, text, options):
    """Compile a kernel; the error shows what the compiler says."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    words = [ARCHITECTURE, *(option.encode() for option in options)]
    status = nvrtc.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    assert status == 0, f"{text}\n{log.value.decode()}"
