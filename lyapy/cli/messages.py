"""Lines on standard error, and the exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from ..errors import CheckpointError, Interrupted, LockedError, describe, one_line, visible

if TYPE_CHECKING:
    from ..sweeps.task import Outcome

FAILED, BAD_INPUT = 1, 2
# as sysexits.h has them: cannot create, input or output error, try again
LOCKED, NOT_WRITTEN, TO_BE_CONTINUED = 73, 74, 75
INTERRUPTED, BROKEN_PIPE = 130, 141
CODES = {Interrupted: TO_BE_CONTINUED, KeyboardInterrupt: INTERRUPTED, LockedError: LOCKED,
         CheckpointError: NOT_WRITTEN}  # fmt: skip

# of disks and systems at their limits, which are no fault of the arguments
DISK = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EFBIG,
        errno.EROFS, errno.ESTALE}  # fmt: skip


def say(message: str) -> None:
    """Print one line on standard error, if that can be written."""
    if sys.stderr is None:
        return
    try:
        print(f"lyapy: {one_line(message)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        silence(sys.stderr)


def write(line: str, *, flush: bool = False) -> None:
    """Print one line on standard output, with control characters as escapes."""
    print(visible(line).replace("\n", r"\n"), flush=flush)


def write_lines(text: str, *, flush: bool = False) -> None:
    """Print a text of several lines, with its other control characters as escapes."""
    print(visible(text), flush=flush)


def silence(stream: TextIO) -> None:
    """Send a stream that cannot be written nowhere; Python would flush it again at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def code_of(error: BaseException) -> int:
    """Print an error, and return its exit code."""
    interrupted = isinstance(error, KeyboardInterrupt)
    say(str(error) or "interrupted" if interrupted else f"error: {describe(error)}")
    found = next((code for kind, code in CODES.items() if isinstance(error, kind)), BAD_INPUT)
    return NOT_WRITTEN if getattr(error, "errno", None) in DISK else found


def report(outcome: Outcome, errors: Counter[str], *, quiet: bool) -> int:
    """Print how a network of many ended, and return the exit code for it.

    An error that other networks had already is only counted, for `report_shared`.
    """
    text = f"{outcome.name}: {outcome.message}"
    if outcome.code == "computed":
        if not quiet:
            write(text, flush=True)
        return 0
    if outcome.code == "locked":
        say(text)
        return LOCKED
    file, _, cause = outcome.message.partition(": ")
    shared = cause if outcome.name in file else outcome.message
    if not errors[shared]:
        say(f"error: {text}")
    errors[shared] += 1
    return FAILED


def report_shared(errors: Counter[str]) -> None:
    """Print the errors that several networks share, once each."""
    for error, count in errors.items():
        if count > 1:
            say(f"error: {count - 1} more networks: {error}")


def worst(codes: list[int]) -> int:
    """Return the exit code for many networks."""
    return next((code for code in (FAILED, LOCKED) if code in codes), 0)
