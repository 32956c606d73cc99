"""The disk cache of compiled code: right, never stale, never fatal."""

import ast
import hashlib
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lyapy.tangent.compiled import disk, jit

PACKAGE = Path(__file__).parents[3] / "lyapy"

COMPARE = """
import numpy as np, sys, lyapy
from lyapy.tangent.compiled.layers import layer_forward
from lyapy.networks.forward import forward_chunk
for kind in sys.argv[1:]:
    network = lyapy.random_network(kind, 5, 2, gain=2.0, bias=0.5, seed=3)
    inputs = np.random.default_rng(0).normal(size=(40, 2))
    state = np.zeros(network.state_size)
    wanted = forward_chunk(network, inputs, state).coefficients
    found = forward_chunk(network, inputs, state, layer_forward).coefficients
    assert np.allclose(found, wanted, rtol=0, atol=1e-12), (kind, found, wanted)
    print(kind, float(found[-1, 0]).hex())
"""


def run(code, *arguments, cache, path=PACKAGE.parent, warnings="error"):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(path)}
    command = [sys.executable, "-W", warnings, "-c", code, *arguments]
    return subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, cwd=path
    )


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    for kind in ("vanilla", "lstm"):
        done = run(COMPARE, kind, cache=cache)
        assert done.returncode == 0, done.stderr
    return cache


def test_code_cached_by_different_processes_does_not_mix(filled_cache):
    # helpers of the same name and types in two cached files were linked to one of the two
    done = run(COMPARE, "vanilla", "lstm", cache=filled_cache)
    assert done.returncode == 0, done.stderr


LOOPS = """
import numpy as np, sys, lyapy
from lyapy.tangent.compiled.layers import layer_forward
from lyapy.networks.forward import forward_chunk
for n in map(int, sys.argv[1:]):
    network = lyapy.random_network("vanilla", n, 2, seed=1)
    loop = lyapy.ClosedLoop(network, np.ones((2, n)))
    inputs, state = np.zeros((9, 0)), np.linspace(-1, 1, n)
    wanted = forward_chunk(loop, inputs, state).states
    found = forward_chunk(loop, inputs, state, layer_forward).states
    assert np.allclose(found, wanted, rtol=0, atol=1e-12), (n, found, wanted)
"""


def test_closed_loops_of_other_sizes_do_not_mix(tmp_path):
    """Their composed steps differ in nothing but the sizes that they have captured."""
    for sizes in (("4",), ("5",), ("6", "4")):
        done = run(LOOPS, *sizes, cache=tmp_path)
        assert done.returncode == 0, done.stderr


def test_a_warm_cache_compiles_nothing(filled_cache):
    before = sorted(p.name for p in filled_cache.rglob("*"))
    assert run(COMPARE, "lstm", cache=filled_cache).returncode == 0
    assert sorted(p.name for p in filled_cache.rglob("*")) == before


@pytest.fixture
def copied(tmp_path):
    hidden = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(PACKAGE, tmp_path / "lyapy", ignore=hidden)


INLINED = (
    *("arrays.py", "cells/gru.py", "cells/sparse.py", "tangent/interval.py"),
    *("tangent/compiled/loop.py", "tangent/compiled/simd/tiles.py"),
)


def test_compiled_code_depends_on_its_inlined_sources(copied, monkeypatch):
    monkeypatch.setattr(disk, "PACKAGE", copied)
    digest = disk.sources_digest.__wrapped__
    seen = {digest()}
    for count, name in enumerate(INLINED, 2):
        with (copied / name).open("a") as file:
            file.write("# edited\n")
        seen.add(digest())
        assert len(seen) == count, name
    (copied / "tangent/reference.py").write_text("")
    assert digest() in seen


def test_compiled_code_imports_covered_or_never_inlined_modules():
    covered = {f for name in disk.INLINED for f in [PACKAGE / name, *(PACKAGE / name).rglob("*")]}
    never = {"state.py", "reference.py", "lowering.py", "program.py", "forward.py", "run.py"}
    for path in (PACKAGE / "tangent/compiled").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                place = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                file = place.with_suffix(".py")
                assert not file.exists() or file in covered or file.name in never, (path, file)


def test_an_edited_cell_is_compiled_again(filled_cache, copied, tmp_path):
    source = copied / "cells" / "activations.py"
    source.write_text(source.read_text().replace("4.0 * e * s * s", "2.0 * e * s * s"))
    before = run(COMPARE, "vanilla", cache=filled_cache)
    after = run(COMPARE, "vanilla", cache=filled_cache, path=tmp_path)
    assert after.returncode == 0, after.stderr
    assert after.stdout != before.stdout


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_cache_is_compiled_again(filled_cache, tmp_path, kind):
    cache = shutil.copytree(filled_cache, tmp_path / "cache")
    whole = run(COMPARE, "vanilla", cache=cache).stdout
    before = sizes(cache)
    for number, file in enumerate(sorted(cache.rglob(f"*.{kind}"))):
        content = bytearray(file.read_bytes())
        place = len(content) * (number % 7 + 1) // 9
        content[place : place + 64] = bytes(255 - byte for byte in content[place : place + 64])
        file.write_bytes(content if number % 2 else content[:place])
    done = run(COMPARE, "vanilla", cache=cache)
    assert (done.returncode, done.stdout) == (0, whole), done.stderr
    # the others are those of another kind of cell
    repaired = sizes(cache)
    assert sum(repaired[name] == before[name] for name in before) > len(before) / 3


def test_an_index_of_another_version_of_numba_is_passed_over(filled_cache, tmp_path):
    cache = shutil.copytree(filled_cache, tmp_path / "cache")
    content = pickle.dumps("0.1") + b"cnumba.core.types.gone\nthing\n."
    for file in cache.rglob("*.nbi"):
        file.write_bytes(hashlib.sha256(content).digest() + content)
    done = run(COMPARE, "vanilla", cache=cache)
    assert done.returncode == 0, done.stderr


def sizes(cache):
    return {path.name: path.stat().st_size for path in cache.rglob("*.nb?")}


# root may write anywhere, so the folders are made to refuse
REFUSE = """
from numba.core import caching
def refuse(self):
    raise PermissionError("read-only")
caching._CacheLocator.ensure_cache_path = refuse
"""


def test_an_unwritable_cache_only_warns(tmp_path):
    done = run(REFUSE + COMPARE, "vanilla", cache=tmp_path, warnings="default")
    assert done.returncode == 0, done.stderr
    assert "NUMBA_CACHE_DIR" in done.stderr


SPECTRUM = """
import numpy as np, sys, lyapy
network = lyapy.random_network("vanilla", 6, 2, gain=8.0, seed=1)
inputs = np.random.default_rng(0).normal(size=(40, 2))
print(*(x.hex() for x in lyapy.lyapunov_spectrum(network, inputs).exponents))
if sys.argv[1:]:
    lyapy.covariant_vectors(network, inputs, transient=5)
"""


def test_a_linked_function_is_compiled_once_for_all_its_callers(tmp_path):
    for arguments in ((), ("vectors",)):
        done = run(SPECTRUM, *arguments, cache=tmp_path)
        assert done.returncode == 0, done.stderr
    kept = [path.name for path in tmp_path.rglob("*.nbc")]
    for name in ("step.step", "qr.orthonormalize", "products.cross", "products.multiply"):
        assert sum(file.startswith(f"{name}.") for file in kept) == 1, (name, kept)


def test_a_linked_function_that_is_not_kept_any_more_is_compiled_again(filled_cache, tmp_path):
    cache = shutil.copytree(filled_cache, tmp_path / "cache")
    before = run(SPECTRUM, cache=cache)
    removed = [*cache.rglob("step.step.*.nb?"), *cache.rglob("products.cross.*.nbi")]
    assert len(removed) == 3
    for file in removed:
        file.unlink()
    after = run(SPECTRUM, cache=cache)
    assert (after.returncode, after.stdout) == (0, before.stdout), after.stderr
    assert all(file.exists() for file in removed)


CLI = "import sys; from lyapy.cli import main; sys.exit(main(sys.argv[1:]))"
MODEL = PACKAGE / "data" / "character_lstm.safetensors"
EXAMPLE = """
import lyapy
network, inputs, _ = lyapy.load_example()
lyapy.lyapunov_spectrum(network, inputs[:1, :70])
lyapy.covariant_vectors(network, inputs[0, :70], k=4, transient=20)
"""


def test_after_lyapy_compile_nothing_is_compiled(filled_cache, tmp_path):
    cache = shutil.copytree(filled_cache, tmp_path / "cache")
    done = run(CLI, "compile", str(MODEL), cache=cache)
    assert done.returncode == 0, done.stderr
    line = r"lstm: \d+ functions compiled in \d+ s; kept in {}.*\n"
    assert re.fullmatch(line.format(re.escape(str(cache))), done.stdout)
    assert done.stderr.count("\n") == done.stderr.count("lyapy: compiling") == 1
    before = sizes(cache)
    again = run(CLI, "compile", str(MODEL), cache=cache)
    assert again.stdout.startswith("lstm: nothing to compile; kept in"), again.stderr
    assert run(EXAMPLE, cache=cache, warnings="ignore").returncode == 0
    assert sizes(cache) == before


def test_lyapy_compile_fails_where_nothing_can_be_kept(tmp_path):
    done = run(REFUSE + CLI, "compile", cache=tmp_path, warnings="default")
    assert done.returncode == 74
    assert "error: compiled code cannot be kept; set NUMBA_CACHE_DIR" in done.stderr


def test_threads_that_compile_at_the_same_time_say_so_once(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "lyapy")
    lines = []

    class Slow(logging.Handler):
        def handle(self, record):
            lines.append(record.getMessage())
            time.sleep(0.1)

    monkeypatch.setattr(jit, "_announcement", threading.Lock())
    monkeypatch.setattr(jit.logger, "handlers", [Slow()])
    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(jit._announce)
    assert len(lines) == 1
