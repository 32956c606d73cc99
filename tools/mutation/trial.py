"""One trial: a copy of the tree, and pytest in a separate process."""

import contextlib
import gc
import hashlib
import multiprocessing
import os
import resource
import shlex
import shutil
import signal
import sys
from pathlib import Path

# once for all trials, which are forked
import h5py  # noqa: F401
import hypothesis  # noqa: F401
import mpmath  # noqa: F401
import numba.extending  # noqa: F401
import numpy  # noqa: F401
import pytest
import scipy.ndimage
import scipy.optimize
import scipy.stats  # noqa: F401

# which pytest would search for garbage five times a trial
gc.freeze()

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".git", ".hypothesis", ".*_cache", "__pycache__", "docs", "examples", "build", "dist")
# compiled code is named by all sources it may inline; where none of them is mutated, one name
# serves all mutants
KEPT = """

def sources_digest(*extra: str) -> str:
    hasher = hashlib.sha256(b"{digest}")
    for path in extra:
        hasher.update(Path(path).read_bytes())
    return hasher.hexdigest()
"""


def copy_tree(folder: Path) -> Path:
    """Replace the copy of the tree in a folder, and return it; compiled code stays next to it."""
    copy = folder / "lyapy"
    shutil.rmtree(copy, ignore_errors=True)
    (folder / "warm").unlink(missing_ok=True)
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shared = ROOT.parent / "shared"
    if shared.exists() and not (folder / "shared").exists():
        (folder / "shared").symlink_to(shared.resolve())
    return copy


def keep_compiled(copy: Path) -> None:
    """Let the mutants of plain Python use the compiled code of the original."""
    digest = hashlib.sha256()
    for source in sorted((copy / "lyapy").rglob("*.py")):
        digest.update(source.read_bytes())
    path = copy / "lyapy/tangent/compiled/jit.py"
    stamp = path.stat().st_mtime
    path.write_text(path.read_text() + KEPT.format(digest=digest.hexdigest()))
    os.utime(path, (stamp, stamp))


def run_tests(copy: Path, arguments: str, seconds: int) -> int | None:
    """Return pytest's exit code, negative for a signal; None after so much processor time."""
    process = multiprocessing.get_context("fork").Process
    child = process(target=_test, args=(copy, arguments, seconds))
    child.start()
    child.join()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid or 0, signal.SIGKILL)
    return None if child.exitcode == -signal.SIGXCPU else child.exitcode


def _test(copy: Path, arguments: str, seconds: int) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(copy)
    log = os.open(copy.parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # the original's bytecode is kept from the trial without mutant; none of a mutant's is
    sys.dont_write_bytecode = (copy.parent / "warm").exists()
    assert "lyapy" not in sys.modules
    sys.path.insert(0, str(copy))
    options = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:xdist", "--hypothesis-seed=0"]
    code = int(pytest.main([*options, *shlex.split(arguments)]))
    if code == 0:
        assert str(copy) in str(sys.modules["lyapy"].__file__)
    sys.stdout.flush()
    os._exit(code)
