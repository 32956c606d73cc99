"""Output files that are refused before the work if they cannot be written, and placed whole."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import BinaryIO

# of Linux, and of Windows
NAMELESS, BINARY = (getattr(os, name, 0) for name in ("O_TMPFILE", "O_BINARY"))


def check_output(path: str | PathLike[str], *, overwrite: bool) -> Path:
    """Return the file that `write_whole` would write, symbolic links followed.

    Raises FileExistsError unless ``overwrite``, and OSError if it is not a regular file, or its
    folder is missing or cannot be written.
    """
    target = _check_target(path, overwrite)
    folder = target.parent
    # where possible by a file without a name, of which a kill leaves nothing behind
    try:
        if NAMELESS:
            os.close(os.open(folder, NAMELESS | os.O_RDWR, 0o600))
            return target
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
            raise _unwritable(path, folder, error) from None
    descriptor, temporary = _create_temporary(path, folder)
    os.close(descriptor)
    temporary.unlink()
    return target


def _check_target(path: str | PathLike[str], overwrite: bool) -> Path:
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; give the name of a file in it")
    # replacing a device such as /dev/null would take it from everybody
    if target.exists() and not target.is_file():
        raise OSError(f"{path}: is not a regular file; give another name")
    if target.exists() and not overwrite:
        raise _exists(path)
    if not target.parent.exists():
        raise FileNotFoundError(f"{path}: the folder {target.parent} does not exist; create it")
    return target


def check_apart(output: str | PathLike[str], sources: Iterable[str | PathLike[str] | None]) -> None:
    """Raise ValueError if an output is one of the files that the same run reads."""
    if not os.path.exists(output):
        return
    for source in sources:
        if source and os.path.exists(source) and os.path.samefile(output, source):
            raise ValueError(f"{output}: is read by this run; give another output")


def write_whole(path: str | PathLike[str], data: bytes | memoryview, *, overwrite: bool) -> None:
    """Write a file that is never half-written; raises as `placed_whole`."""
    with placed_whole(path, overwrite=overwrite) as file:
        file.write(data)


@contextlib.contextmanager
def placed_whole(
    path: str | PathLike[str], *, overwrite: bool, scratch: Path | None = None
) -> Iterator[BinaryIO]:
    """Yield a temporary file that is synced and renamed to ``path`` if all goes well.

    A file that exists stays whole until then. The temporary file stands in ``scratch``, a folder
    on the same disk, by default that of ``path``. Raises as `check_output`, or if the disk is full.
    """
    target = _check_target(path, overwrite)
    descriptor, temporary = _create_temporary(path, scratch or target.parent)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, target)
        else:
            _place_new(temporary, target)
        sync_folder(target.parent)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        remedy = "free some space or choose another folder"
        message = f"{path}: could not be written ({error.strerror}); {remedy}"
        raise OSError(error.errno, message) from error
    finally:
        temporary.unlink(missing_ok=True)


def _exists(path: str | PathLike[str]) -> FileExistsError:
    remedy = "choose another name, or replace it with overwrite=True (--overwrite)"
    return FileExistsError(f"{path}: exists; {remedy}")


def _create_temporary(path: str | PathLike[str], folder: Path) -> tuple[int, Path]:
    temporary = folder / f".lyapy-{secrets.token_hex(8)}.part"
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | BINARY
        return os.open(temporary, flags, 0o666), temporary
    except OSError as error:
        raise _unwritable(path, folder, error) from None


def _unwritable(path: str | PathLike[str], folder: Path, error: OSError) -> OSError:
    finding = f"{path}: the folder {folder} cannot be written ({error.strerror})"
    return OSError(error.errno, f"{finding}; choose another folder")


def _place_new(temporary: Path, target: Path) -> None:
    """Rename a file unless the target exists by now."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # a file system without hard links: an empty file reserves the name
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            os.replace(temporary, target)
        except OSError:
            target.unlink()
            raise


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk; some file systems cannot."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
