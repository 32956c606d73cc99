"""One writer: a lock on a separate file, which the system drops when its process ends."""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CheckpointError, LockedError
from .atomic import sync_folder

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

NAME = "lock"
PATIENCE = 5
# a pipe of the lock's name would wait for its other end
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
# errors of flock on file systems that lack it
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def held(folder: Path, run: str) -> Iterator[None]:
    """Hold the lock of ``folder``, which is created, and removed at the end if it is empty.

    The other locks of `fcntl` vanish when HDF5 closes any descriptor of a file; `flock` on a file
    that nothing else opens does not. Raises LockedError if another process holds it,
    CheckpointError if it cannot be written.
    """
    try:
        descriptor = _acquire(folder, run)
    except LockedError:
        raise
    except OSError as error:
        finding = f"{run}: {folder / NAME} could not be written ({error.strerror})"
        raise CheckpointError(f"{finding}; free some space and run the command again") from None
    try:
        yield
    finally:
        # an error here must not hide how the run ended
        with suppress(OSError):
            # before the lock is dropped: after it the name could be another process's
            if os.listdir(folder) == [NAME]:
                (folder / NAME).unlink()
                folder.rmdir()
            else:
                os.ftruncate(descriptor, 0)
        # this drops the lock
        with suppress(OSError):
            os.close(descriptor)


def holder(folder: Path) -> str | None:
    """Return the process and host that hold the lock, None if nobody does."""
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_WAIT)
    except OSError:
        return None
    try:
        _lock(descriptor, "LOCK_SH")
        return None
    except OSError as error:
        return None if error.errno in UNSUPPORTED and _is_stale(path) else _shown(path)
    finally:
        os.close(descriptor)


def _acquire(folder: Path, run: str) -> int:
    path = folder / NAME
    while True:
        folder.mkdir(exist_ok=True)
        # or a power cut could lose the folder's name, and the checkpoints in it
        sync_folder(folder.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_WAIT, 0o666)
        except FileNotFoundError:
            # a run that ended has removed the folder
            continue
        try:
            _flock(descriptor, path, run)
            # another run may have removed the file, and its name, in the meantime
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                    _sign(descriptor)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _flock(descriptor: int, path: Path, run: str) -> None:
    try:
        # whoever asks for the `holder` holds the lock for a moment: try for half a second
        for _ in range(PATIENCE):
            with suppress(BlockingIOError):
                return _lock(descriptor, "LOCK_EX")
            time.sleep(0.5 / PATIENCE)
        return _lock(descriptor, "LOCK_EX")
    except (BlockingIOError, PermissionError):
        remedy = "wait for its end, or give another output"
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        # only the file's content is known: its process holds the lock unless it is surely gone
        if _is_stale(path):
            return None
        remedy = f"if it has ended, delete {path} and run the command again"
    raise LockedError(f"{run}: is being computed by {_shown(path)}; {remedy}")


def _lock(descriptor: int, kind: str) -> None:
    """Take a lock of a kind, or raise OSError at once."""
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    fcntl.flock(descriptor, getattr(fcntl, kind) | fcntl.LOCK_NB)


def _sign(descriptor: int) -> None:
    me = {"host": platform.node(), "process": os.getpid()}
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(me).encode())


def _owner(path: Path) -> tuple[str, int] | None:
    """Return host and process that signed the file."""
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
        return str(found["host"]), int(found["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _shown(path: Path) -> str:
    owner = _owner(path)
    return f"process {owner[1]} on {owner[0]}" if owner else "another process"


def _is_stale(path: Path) -> bool:
    """Return whether nobody signed the file, or a process of this host that has ended."""
    owner = _owner(path)
    if owner is None or owner == (platform.node(), os.getpid()):
        return True
    # on Windows, os.kill would end the process
    if owner[0] != platform.node() or os.name == "nt":
        return False
    try:
        os.kill(owner[1], 0)
    except PermissionError:
        return False
    # the second error is of a number that no process can have
    except (ProcessLookupError, OverflowError):
        return True
    return False
