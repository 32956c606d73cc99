"""Runs that go on until their standard errors are small enough."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..arrays import check_positive, check_size
from ..networks.network import Network
from .schedule import Recording

# the shortest run whose errors are computed, in steps
SHORTEST = 1024


class Until(NamedTuple):
    """A target for the largest standard error, and the most steps that it may take."""

    target: float
    most: int

    def lengths(self, chunk: int) -> Iterator[int]:
        """Yield the counted steps after which the errors are compared with the target.

        They double: frequent comparisons would stop at an error that is small by chance. All but
        the last end with a chunk, so that a run of so many steps is cut in the same way.
        """
        steps = chunk * -(-SHORTEST // chunk)
        while steps < self.most:
            yield steps
            steps *= 2
        yield self.most


def check_until(
    until: Any, max_steps: int, steps: int | None, network: Network, recording: Recording
) -> Until | None:
    """Return the target, or None if the number of steps is given."""
    if until is None:
        return None
    check_positive("until", until, "a standard error, a positive number")
    check_size("max_steps", max_steps, 1)
    if steps is not None:
        raise ValueError(
            f"steps is {steps} and until is {until:g}; give one of them, and max_steps with until"
        )
    if network.input_size:
        raise ValueError(
            f"until is {until:g}, but the network reads {network.input_size} inputs at every "
            "step, which end; give all of them, and read Spectrum.standard_error"
        )
    if recording.kinds:
        raise ValueError(
            f"record is {', '.join(recording.kinds)} and until is {until:g}, but the number of "
            "rows must be known; record a run of as many steps as until has found"
        )
    return Until(float(until), int(max_steps))
