"""NVIDIA's compiler for kernels, which runs without a GPU, and the resources it reports."""

import ctypes
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

# A100; H100; B200
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
# prints the resources of a kernel
VERBOSE = "--ptxas-options=-v"


class Resources(NamedTuple):
    """Resources of a thread of a kernel: registers, and bytes of local memory."""

    registers: int
    stack: int
    spilled: int


@cache
def library():
    for name in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        found = find_spec(name) if find_spec("nvidia") else None
        for folder in found.submodule_search_locations if found else ():
            # the compiler of CUDA 13 looks for its builtins by name only
            for path in sorted(Path(folder, "lib").glob("libnvrtc-builtins.so.*")):
                ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
            for path in sorted(Path(folder, "lib").glob("libnvrtc.so.*")):
                return ctypes.CDLL(str(path))
    return None


def compile_text(nvrtc, text, options, architecture="sm_90"):
    """Compile a kernel and return its resources; the error shows the compiler's message."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    given = (f"--gpu-architecture={architecture}", VERBOSE, *options)
    words = [option.encode() for option in given]
    status = nvrtc.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    messages = log.value.decode()
    assert status == 0, f"{text}\n{messages}"
    patterns = (r"Used (\d+) registers", r"(\d+) bytes stack frame", r"(\d+) bytes spill stores")
    return Resources(*(int(re.search(pattern, messages)[1]) for pattern in patterns))
