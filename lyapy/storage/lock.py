"""One writer: a lock on a file of its own, which the system drops when its process ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CheckpointError, LockedError
from .atomic import sync_folder

__all__ = ["held", "holder"]

NAME = "lock"
PATIENCE = 5
# what flock says on file systems that have none
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def held(folder: Path, run: str) -> Iterator[None]:
    """Hold the lock of ``folder``, which is created, and removed at the end if it is empty.

    `fcntl`'s other locks vanish when HDF5 closes any descriptor of a file; `flock` on a file
    that nothing else opens does not.

    Raises
    ------
    LockedError
        If another process holds it; names host and process.
    CheckpointError
        If the disk has no room for the lock.
    OSError
        If the folder cannot be written.
    """
    descriptor = _acquire(folder, run)
    try:
        yield
    finally:
        # what fails here must not hide how the run ended; the lock itself goes with the descriptor
        with suppress(OSError):
            _leave(folder, descriptor)
        os.close(descriptor)


def _leave(folder: Path, descriptor: int) -> None:
    # only while it is held: a name given free first could be another process's by now
    if os.listdir(folder) == [NAME]:
        (folder / NAME).unlink()
        folder.rmdir()
    else:
        os.ftruncate(descriptor, 0)


def holder(folder: Path) -> str | None:
    """Return host and process that hold the lock, None if nobody does."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        gone = error.errno in UNSUPPORTED and _is_stale(folder / NAME)
        return None if gone else _read(folder / NAME) or "another process"
    else:
        return None
    finally:
        os.close(descriptor)


def _acquire(folder: Path, run: str) -> int:
    path = folder / NAME
    while True:
        folder.mkdir(exist_ok=True)
        # else the checkpoints would be lost with the folder's name in a power cut
        sync_folder(folder.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            # a run that ended has removed the folder
            continue
        try:
            _flock(descriptor, path, run)
            if not _is_still(descriptor, path):
                os.close(descriptor)
                continue
            _sign(descriptor, path, run)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _sign(descriptor: int, path: Path, run: str) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(_me()).encode())
    except OSError as error:
        raise CheckpointError(
            f"{run}: {path} could not be written ({error.strerror}); free some space and run the "
            "command again, or choose another folder"
        ) from None


def _flock(descriptor: int, path: Path, run: str) -> None:
    try:
        _flock_patiently(descriptor)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            # the content of the file is all there is: whoever is not known to be dead holds it
            if _is_stale(path):
                return
            remedy = f"if it has ended, delete {path} and run the command again"
        elif error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            remedy = "wait for its end, or give another output"
        else:
            raise
        who = _read(path) or "another process"
        raise LockedError(f"{run}: is being computed by {who}; {remedy}") from None


def _flock_patiently(descriptor: int) -> None:
    """Try for half a second: whoever asks for the `holder` holds the lock for a moment."""
    for _ in range(PATIENCE):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.5 / PATIENCE)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still(descriptor: int, path: Path) -> bool:
    """Return whether the descriptor is that of the file that has the name now."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (found.st_ino, found.st_dev) == (mine.st_ino, mine.st_dev)


def _me() -> dict[str, str | int]:
    return {"host": platform.node(), "process": os.getpid()}


def _read(path: Path) -> str | None:
    try:
        found = json.loads(path.read_text())
        return f"process {int(found['process'])} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_stale(path: Path) -> bool:
    """Return whether nobody stands in the file, or a process of this host that has ended."""
    try:
        found = json.loads(path.read_text())
        host, process = found["host"], int(found["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return True
    if host != platform.node():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return process == os.getpid()
