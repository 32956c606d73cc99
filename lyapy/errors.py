"""The errors that lyapy raises about files."""

from __future__ import annotations

from os import PathLike

__all__ = ["WeightsError"]


class WeightsError(ValueError):
    """A weights file that cannot be used, and what to do about it.

    Parameters
    ----------
    path
        The file, or the name of what was given in its place.
    what
        What was found.
    remedy
        How to mend it.
    """

    def __init__(self, path: str | PathLike[str], what: str, remedy: str = "") -> None:
        self.path = str(path)
        self.what = what
        self.remedy = remedy
        super().__init__(f"{self.path}: {what}" + (f"; {remedy}" if remedy else ""))
