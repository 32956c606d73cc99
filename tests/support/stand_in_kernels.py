"""Kernels in CUDA C++ without CUDA: the host's compiler makes them, a loop runs their threads.

The threads of a block are fibers that give way to one another at __syncthreads(), in an order that
changes after each: a result that depends on it lacks a barrier. Arrays passed to a kernel must
belong together, and integers are 64 bits wide, as CuPy passes them.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

COMPILER = shutil.which("g++") or shutil.which("clang++")
FLAGS = ("-std=c++14", "-O0", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Werror")
FLAGS += ("-Wno-unused", "-Wno-unknown-pragmas")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lyapy-test-kernels"
SIGNATURE = re.compile(r"__global__ void (\w+)\(([^)]*)\)")
DYNAMIC = "extern __shared__ double memory[];"
# between two barriers all threads run in an order that the seed chooses: 0 forward, 1 backward,
# other numbers at random; blocks run backward for odd numbers
SHIM = """
#include <cmath>
#include <vector>
using namespace std;
#define __global__
#define __device__
struct Dim { int x; };
static thread_local Dim threadIdx, blockIdx, blockDim, gridDim;
static thread_local void** given;
static thread_local unsigned long long drawn;
static void arrange(vector<int>& order, long long kind) {
    const int n = order.size();
    for (int i = 0; i < n; i++) order[i] = kind == 1 ? n - 1 - i : i;
    for (int i = n - 1; i > 0 && kind > 1; i--) {
        drawn = drawn * 6364136223846793005ull + 1442695040888963407ull;
        swap(order[i], order[(drawn >> 33) % (i + 1)]);
    }
}
"""
BARRIERS = """
#include <cstdlib>
#include <ucontext.h>
static thread_local double* dynamic_shared;
static thread_local ucontext_t scheduler;
static thread_local vector<ucontext_t>* fibers;
static thread_local vector<bool>* done;
static inline void __syncthreads() { swapcontext(&(*fibers)[threadIdx.x], &scheduler); }
"""
ONE_AFTER_ANOTHER = """
extern "C" int launch(long long grid, long long block, long long, long long kind,
                       void** arguments) {
    given = arguments;
    drawn = kind;
    vector<int> order(block);
    gridDim.x = grid;
    blockDim.x = block;
    for (int b = 0; b < grid; b++) {
        blockIdx.x = kind % 2 ? grid - 1 - b : b;
        arrange(order, kind);
        for (int at : order) {
            threadIdx.x = at;
            NAME(ARGUMENTS);
        }
    }
    return 0;
}
"""
SIDE_BY_SIDE = """
static void fiber() { NAME(ARGUMENTS); (*done)[threadIdx.x] = true; }
extern "C" int launch(long long grid, long long block, long long shared, long long kind,
                       void** arguments) {
    given = arguments;
    drawn = kind;
    vector<int> order(block);
    gridDim.x = grid;
    blockDim.x = block;
    for (int b = 0; b < grid; b++) {
        blockIdx.x = kind % 2 ? grid - 1 - b : b;
        // numbers that no thread has written yet are of no use
        const long long end = (shared + 7) / 8;
        vector<double> memory(end + 1024, NAN);
        dynamic_shared = memory.data();
        const size_t size = 64 * 1024;
        vector<ucontext_t> contexts(block);
        vector<char> stacks(size * block);
        vector<bool> ended(block, false);
        fibers = &contexts;
        done = &ended;
        for (int i = 0; i < block; i++) {
            getcontext(&contexts[i]);
            contexts[i].uc_stack.ss_sp = &stacks[size * i];
            contexts[i].uc_stack.ss_size = size;
            contexts[i].uc_link = &scheduler;
            makecontext(&contexts[i], fiber, 0);
        }
        for (bool left = true; left;) {
            left = false;
            int waiting = 0;
            arrange(order, kind);
            for (int at : order) {
                if (ended[at]) continue;
                threadIdx.x = at;
                swapcontext(&scheduler, &contexts[at]);
                waiting += !ended[at];
            }
            left = waiting > 0;
            // a barrier that only some of the threads reach would never end
            if (left && waiting < block) return 1;
        }
        for (size_t i = end; i < memory.size(); i++)
            if (!isnan(memory[i])) return 2;
    }
    return 0;
}
"""


@cache
def library(text, name):
    """Return the launching function of a kernel, and the types of its parameters."""
    found = SIGNATURE.search(text)
    assert found and found[1] == name, text
    types = [words.strip().rpartition(" ")[0] for words in found[2].split(",")]
    arguments = ", ".join(
        f"({type_name})given[{i}]" if "*" in type_name else f"*({type_name}*)given[{i}]"
        for i, type_name in enumerate(types)
    )
    barriers = "__syncthreads" in text
    launcher = SIDE_BY_SIDE if barriers else ONE_AFTER_ANOTHER
    launcher = launcher.replace("NAME", name).replace("ARGUMENTS", arguments)
    body = text.replace(DYNAMIC, "double* memory = dynamic_shared;")
    source = SHIM + (BARRIERS if barriers else "") + body + launcher
    digest = hashlib.sha256(f"{COMPILER} {FLAGS} {source}".encode()).hexdigest()[:32]
    path = CACHE / f"{digest}.so"
    if not path.exists():
        compile_library(source, path)
    return ctypes.CDLL(os.fspath(path)).launch, tuple(types)


def compile_library(source, path):
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        text, made = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        text.write_text(source)
        subprocess.run([COMPILER, *FLAGS, "-o", made, text], check=True)
        # several processes may have made it
        made.replace(path)


def dtype_of(type_name, text):
    real = re.search(r"typedef (double|float) real;", text)[1]
    words = {"real": real, "double": "double"}
    found = words[type_name.replace("const", "").replace("*", "").strip()]
    return np.dtype({"double": "float64", "float": "float32"}[found])


def run(text, name, grid, block, arrays_and_numbers, shared, order=0):
    launch, types = library(text, name)
    assert len(types) == len(arrays_and_numbers), (name, types, len(arrays_and_numbers))
    kept, pointers = [], []
    for type_name, value in zip(types, arrays_and_numbers, strict=True):
        if "*" in type_name:
            assert isinstance(value, np.ndarray), (name, type_name)
            assert value.dtype == dtype_of(type_name, text), (name, type_name, value.dtype)
            pointers.append(value.ctypes.data)
        else:
            assert type_name == "long long" and isinstance(value, int), (name, type_name, value)
            kept.append(ctypes.c_longlong(value))
            pointers.append(ctypes.addressof(kept[-1]))
    packed = (ctypes.c_void_p * len(pointers))(*pointers)
    numbers = (ctypes.c_longlong(int(number)) for number in (grid, block, shared, order))
    faults = {1: "only some of the threads of {} reach a barrier"}
    faults[2] = "{} writes behind its shared memory"
    if fault := launch(*numbers, packed):
        raise RuntimeError(faults[fault].format(name))
