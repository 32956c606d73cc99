"""The errors that lyapy raises about files and runs."""

import os
import re
from os import PathLike

FAILURES = (OSError, ValueError, TypeError, ArithmeticError, ModuleNotFoundError, MemoryError)
# of a message: a name of 1000 characters, the finding and the remedy
LENGTH = 2000
# controls, marks of direction, invisible separators
UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
REMEDIES = {
    FileNotFoundError: "does not exist; check the path",
    IsADirectoryError: "is a folder; give a file",
    PermissionError: "may not be opened; check its permissions",
}


class WeightsError(ValueError):
    """A weights file that cannot be used, with the remedy.

    Parameters
    ----------
    path
        The file, or the name of the object that was given instead.
    what
        The finding.
    remedy
        How to fix it.
    """

    def __init__(self, path: str | PathLike[str], what: str, remedy: str = "") -> None:
        self.path = str(path)
        self.what = what
        self.remedy = remedy
        super().__init__(f"{self.path}: {what}" + (f"; {remedy}" if remedy else ""))


class LockedError(OSError):
    """A run that another process is computing at this time."""


class CheckpointError(OSError):
    """A checkpoint or result that could not be written; the last one is whole."""


class DeviceError(OSError):
    """No GPU is found, or it cannot be used."""


class Interrupted(KeyboardInterrupt):
    """A run that was interrupted and can be continued."""


def describe(error: BaseException) -> str:
    """Return an error in one line; of a file the system's word, and the usual remedy."""
    text = str(error) or type(error).__name__
    if not isinstance(error, FAILURES):
        text = f"{type(error).__name__}: {text}"
    if isinstance(error, OSError) and error.errno is not None:
        text = error.strerror or os.strerror(error.errno)
        if error.filename is not None:
            text = f"{error.filename}: {REMEDIES.get(type(error), text)}"
    return one_line(text)


def one_line(text: str) -> str:
    """Return a message in one line of bounded length, without control characters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= LENGTH else f"{line[: LENGTH // 2]} … {line[-LENGTH // 2 :]}"


def visible(text: str) -> str:
    """Return text with its control characters, but for line ends, as escapes.

    Names and texts of a file could otherwise move the cursor of a terminal, or turn the direction
    of writing.
    """
    return UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
