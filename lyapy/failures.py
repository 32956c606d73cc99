"""What the user is told of an error."""

from __future__ import annotations

__all__ = ["FAILURES", "describe"]

FAILURES = (OSError, ValueError, TypeError, ArithmeticError, ModuleNotFoundError, MemoryError)
REMEDIES = {
    FileNotFoundError: "does not exist; check the path",
    IsADirectoryError: "is a folder; give a file",
    PermissionError: "may not be opened; check its permissions",
}


def describe(error: BaseException) -> str:
    """Return an error in one line; of a file the system's word, and the usual remedy."""
    told = str(error) or type(error).__name__
    if not isinstance(error, FAILURES):
        told = f"{type(error).__name__}: {told}"
    if isinstance(error, OSError) and error.filename is not None:
        told = f"{error.filename}: {REMEDIES.get(type(error), error.strerror)}"
    return " ".join(told.split())
