"""One network of a sweep, as it travels to the worker that computes it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from ..errors import Interrupted
from ..networks.closed_loop import ClosedLoop
from ..networks.network import Network
from ..spectra.spectrum import Spectrum
from ..weights.frameworks.layer import Hints
from .attempt import Outcome, attempt

__all__ = ["ENDING", "Task", "compute"]

# what a worker is told to end by; a terminal's SIGINT reaches every process of the sweep
ENDING = (signal.SIGTERM, signal.SIGUSR1)


class Task(NamedTuple):
    """What a worker needs to compute one member; files travel by their paths.

    Attributes
    ----------
    name : str
    network : Network or str
        Or its weights file.
    folder : str
        That the path of the weights starts from.
    inputs : str or None
        File of inputs.
    vocabulary : str or None
        File of the characters of a text.
    run : Path
        Its run file.
    load_options : dict
        For `lyapy.load`.
    options : dict
        For `lyapy.lyapunov_spectrum`.
    closed_loop : bool
        Whether the read-out is fed back, and inputs only warm up.
    readout : str or None
        Which one, see `lyapy.weights.load.load_closed_loop`.
    """

    name: str
    network: Network | str
    folder: str
    inputs: str | None
    vocabulary: str | None
    run: Path
    load_options: Mapping[str, Any]
    options: Mapping[str, Any]
    closed_loop: bool
    readout: str | None


def compute(task: Task) -> Outcome:
    """Compute a member in a worker, or continue it, or find it finished."""
    try:
        with _told_to_end():
            return attempt(task.name, task.run, lambda: _spectrum(task))
    except KeyboardInterrupt as stop:
        told = str(stop) if isinstance(stop, Interrupted) else "interrupted before it began"
        return Outcome(task.name, "interrupted", told)


def _spectrum(task: Task) -> Spectrum:
    from ..runs.inputs import read_inputs_for
    from ..runs.lyapunov import lyapunov_spectrum

    network, weights = _network(task)
    inputs = states = None
    if task.inputs is not None:
        reads = network.open_loop if isinstance(network, ClosedLoop) else network
        inputs = read_inputs_for(reads, task.inputs, weights, task.vocabulary)
    if isinstance(network, ClosedLoop) and inputs is not None:
        inputs, states = None, network.warm_up(inputs)
    return lyapunov_spectrum(
        network, inputs, initial_state=states, checkpoint=task.run, **task.options
    )


def _network(task: Task) -> tuple[Network, str | None]:
    """Return the network and its weights file."""
    from ..weights.load import load, load_closed_loop

    if isinstance(task.network, Network):
        return task.network, None
    # workers may stand in another folder, and messages name the file as it was given
    weights = task.network
    if os.getcwd() != task.folder:
        weights = os.path.join(task.folder, task.network)
    if task.closed_loop:
        hints = Hints(**task.load_options)
        network: Network = load_closed_loop(weights, hints, task.readout)
        network.origin = f"{task.network}, closed loop"
    else:
        network = load(weights, **task.load_options)
        network.origin = task.network
    return network, weights


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Turn the first signal to end into KeyboardInterrupt, and pass it on when all is written.

    Where signals do not arrive, in other threads than the main one, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        # the last checkpoint is to be written in peace
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for first in came:
            os.kill(os.getpid(), first)
