"""What a reader raises when it will not read a file it has not been told the name of."""

from __future__ import annotations

__all__ = ["ANEW", "CONVERT", "RefusedError"]

ANEW = "write it or fetch it anew"
CONVERT = "convert it to safetensors or npz where it was written"


class RefusedError(Exception):
    """The content of a file refused; `read_arrays` adds the file's name.

    Parameters
    ----------
    what
        What was found.
    remedy
        How to mend it.
    """

    def __init__(self, what: str, remedy: str = ANEW) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(what)
