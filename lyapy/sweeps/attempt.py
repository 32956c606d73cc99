"""One member of many: computed, or the reason kept in place of its run file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import CheckpointError, LockedError, describe
from ..spectra.spectrum import Spectrum
from ..storage.atomic import write_whole
from .names import failure_file

__all__ = ["Outcome", "attempt", "give_up"]


class Outcome(NamedTuple):
    """What has become of a member.

    Attributes
    ----------
    name : str
    code : str
        ``computed``, ``failed``, ``locked`` by another process that computes it, or
        ``interrupted``.
    told : str
        Largest exponent and status, or the error, in one line.
    """

    name: str
    code: Literal["computed", "failed", "locked", "interrupted"]
    told: str


def attempt(name: str, run: Path, compute: Callable[[], Spectrum]) -> Outcome:
    """Compute a member into its run file; write its failure file where that is not possible.

    Parameters
    ----------
    name : str
    run : Path
        Its run file, whose folder is made if missing.
    compute
        Computes the member and writes its run file.

    Raises
    ------
    CheckpointError
        If nothing can be written.
    Interrupted
        If told to end; the same call continues.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    failure_file(run).unlink(missing_ok=True)
    try:
        spectrum = compute()
    except LockedError as error:
        return Outcome(name, "locked", str(error))
    except CheckpointError:
        raise
    except Exception as error:  # whatever breaks one of many must not stop the others
        return give_up(name, run, describe(error))
    told = f"largest exponent {spectrum.largest:.6g} {spectrum.units}, {spectrum.status.code}"
    return Outcome(name, "computed", told)


def give_up(name: str, run: Path, told: str) -> Outcome:
    """Write the failure file of a member."""
    run.parent.mkdir(parents=True, exist_ok=True)
    write_whole(failure_file(run), f"{told}\n".encode(), overwrite=True)
    return Outcome(name, "failed", told)
