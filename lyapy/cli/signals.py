"""Signals that end a run: in good order at first, at once the second time."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import Interrupted
from .messages import say

# Windows lacks the last
ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
# a run that stops sooner stays silent
SECONDS_OF_SILENCE = 5.0
PATIENCE = (
    "stopping after the current steps, which take minutes in a large network; a second signal "
    "ends at once, and keeps the last checkpoint only"
)

# a run that has begun says more; these signals are those of batch systems, which ask for a code
BEFORE = "interrupted before the run began; run the same command again"


@contextmanager
def interruptions() -> Iterator[None]:
    """Turn signals that end a run into KeyboardInterrupt; a second one kills the process.

    Those of batch systems are `Interrupted`, so that the exit code asks to continue.
    """
    patience = threading.Timer(SECONDS_OF_SILENCE, say, (PATIENCE,))
    patience.daemon = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        for ending in ENDING:
            signal.signal(ending, signal.SIG_DFL)
        patience.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Interrupted(BEFORE)

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        patience.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
