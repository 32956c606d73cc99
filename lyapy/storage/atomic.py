"""An output file: refused before the work if it cannot be written, and put in place whole."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import BinaryIO

__all__ = ["check_output", "placed_whole", "sync_folder", "write_whole"]


def check_output(path: str | PathLike[str], *, overwrite: bool) -> Path:
    """Return the file that `write_whole` would write, symbolic links followed.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    OSError
        If it is no regular file, or its folder is missing or cannot be written.
    """
    target = _check_target(path, overwrite)
    _check_folder(path, target.parent)
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


def _check_folder(path: str | PathLike[str], folder: Path) -> None:
    """Try to create a file, where possible one without a name: a kill leaves nothing behind."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
            raise _unwritable(path, folder, error) from None
        descriptor, temporary = _create_beside(path, folder / "_")
        os.close(descriptor)
        temporary.unlink()


def write_whole(path: str | PathLike[str], data: bytes | memoryview, *, overwrite: bool) -> None:
    """Write a file so that it is never half-written.

    Parameters
    ----------
    path : str or path
    data : bytes
    overwrite : bool
        Whether a file that exists is replaced; it stays whole until the new one is.

    Raises
    ------
    OSError
        As `check_output`, or if the disk is full.
    """
    with placed_whole(path, overwrite=overwrite) as file:
        file.write(data)


@contextlib.contextmanager
def placed_whole(
    path: str | PathLike[str], *, overwrite: bool, scratch: Path | None = None
) -> Iterator[BinaryIO]:
    """Yield a temporary file, synced and put in the place of ``path`` if all goes well.

    Parameters
    ----------
    path : str or path
    overwrite : bool
    scratch : Path, optional
        Folder of the temporary file, on the same disk; that of ``path`` by default.

    Raises
    ------
    OSError
        As `write_whole`.
    """
    target = _check_target(path, overwrite)
    descriptor, temporary = _create_beside(path, scratch / "_" if scratch else target)
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
        what = f"{path}: could not be written ({error.strerror})"
        raise OSError(error.errno, f"{what}; free some space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


def _exists(path: str | PathLike[str]) -> FileExistsError:
    return FileExistsError(
        f"{path}: exists; choose another name, or replace it with overwrite=True (--overwrite)"
    )


def _create_beside(path: str | PathLike[str], target: Path) -> tuple[int, Path]:
    temporary = target.with_name(f".lyapy-{secrets.token_hex(8)}.part")
    try:
        return os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666), temporary
    except OSError as error:
        raise _unwritable(path, target.parent, error) from None


def _unwritable(path: str | PathLike[str], folder: Path, error: OSError) -> OSError:
    return type(error)(
        f"{path}: the folder {folder} cannot be written ({error.strerror}); choose another folder"
    )


def _place_new(temporary: Path, target: Path) -> None:
    """Put the file in place unless there is one by now."""
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
