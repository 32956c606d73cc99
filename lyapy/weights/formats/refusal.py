"""Refusals of a file, raised without its name, and the errors with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike

from ...errors import WeightsError

AGAIN = "save it or download it again"
CONVERT = "convert it to safetensors or npz where it was written"
# of an array's name, in which framework layouts look for patterns
NAME_LIMIT = 1000
_LENGTH = 300


class RefusedError(Exception):
    """A finding and its remedy; `weights_errors` adds the file's name."""

    def __init__(self, finding: str, remedy: str = AGAIN) -> None:
        self.finding = finding
        self.remedy = remedy
        super().__init__(finding)


@contextmanager
def weights_errors(
    path: str | PathLike[str], otherwise: str, remedy: str = AGAIN
) -> Iterator[None]:
    """Turn a refusal into a `WeightsError` of a file, and with ``otherwise`` any other error.

    A damaged or hostile file can break the code that reads it anywhere.
    """
    try:
        yield
    except RefusedError as refusal:
        raise WeightsError(path, _line(refusal.finding), refusal.remedy) from None
    except Exception as error:
        finding = _line(f"{otherwise} ({type(error).__name__}: {error})")
        raise WeightsError(path, finding, remedy) from error


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LENGTH else text[:_LENGTH] + " ..."
