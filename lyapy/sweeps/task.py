"""One network of a sweep, computed in a worker into its run file or a failure file."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

from ..errors import CheckpointError, Interrupted, LockedError, describe
from ..networks.closed_loop import ClosedLoop
from ..networks.network import Network
from ..spectra.spectrum import Spectrum
from ..storage.atomic import write_whole
from ..weights.frameworks.layer import Hints
from .names import failure_file

__all__ = [
    "ENDING", "Outcome", "Task", "attempt", "check_readout", "compute", "give_up", "spectrum_of"
]  # fmt: skip

# signals that end a worker; a terminal's SIGINT reaches every process of the sweep
ENDING = (signal.SIGTERM, signal.SIGUSR1)


class Outcome(NamedTuple):
    """How a network of a sweep ended; ``locked`` if another process is computing it.

    ``message`` is its largest exponent and status, or the error, in one line.
    """

    name: str
    code: Literal["computed", "failed", "locked", "interrupted"]
    message: str


class Task(NamedTuple):
    """Instructions for a worker to compute one network; files are given by their paths."""

    name: str
    network: Network | str  # or its weights file
    folder: str  # base of a relative path of weights
    inputs: str | None
    vocabulary: str | None  # file of the characters of a text
    run: Path  # run file
    load_options: Mapping[str, Any]  # for `load`
    options: Mapping[str, Any]  # for `lyapunov_spectrum`
    closed_loop: bool  # whether the read-out is fed back, and inputs only warm up
    readout: str | None


def compute(task: Task) -> Outcome:
    """Compute a network in a worker, or continue it, or find it finished."""
    try:
        with _ending_signals():
            return attempt(task.name, task.run, lambda: spectrum_of(task))
    except KeyboardInterrupt as stop:
        message = str(stop) if isinstance(stop, Interrupted) else "interrupted before it began"
        return Outcome(task.name, "interrupted", message)


def attempt(name: str, run: Path, compute: Callable[[], Spectrum]) -> Outcome:
    """Compute a network into its run file by ``compute``, or write its failure file.

    Raises CheckpointError if nothing can be written, and Interrupted; the same call continues.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    failure_file(run).unlink(missing_ok=True)
    try:
        spectrum = compute()
    except LockedError as error:
        return Outcome(name, "locked", str(error))
    except CheckpointError:
        raise
    except Exception as error:  # no error of one network may stop the others
        return give_up(name, run, describe(error))
    message = f"largest exponent {spectrum.largest:.6g} {spectrum.units}, {spectrum.status.code}"
    return Outcome(name, "computed", message)


def give_up(name: str, run: Path, reason: str) -> Outcome:
    """Write the failure file of a network."""
    run.parent.mkdir(parents=True, exist_ok=True)
    write_whole(failure_file(run), f"{reason}\n".encode(), overwrite=True)
    return Outcome(name, "failed", reason)


def check_readout(readout: str | None, closed_loop: bool) -> None:
    """Raise ValueError if a read-out is named without a loop to close."""
    if readout is not None and not closed_loop:
        raise ValueError(
            f"readout is {readout!r}, for an open loop; add closed_loop=True (--closed-loop)"
        )


def spectrum_of(task: Task) -> Spectrum:
    """Compute a task's spectrum into its run file, or continue, or read it if it is finished."""
    check_readout(task.readout, task.closed_loop)
    if task.vocabulary is not None and task.inputs is None:
        raise ValueError("--vocabulary: is given without a text; add --inputs FILE.txt")
    network, weights = _network(task)
    inputs = states = None
    if task.inputs is not None:
        from ..runs.inputs import read_inputs_for

        reader = network.open_loop if isinstance(network, ClosedLoop) else network
        inputs = read_inputs_for(reader, task.inputs, weights, task.vocabulary)
    elif network.input_size:
        reads = f"{weights or 'the network'} reads {network.input_size} at every step"
        raise ValueError(f"inputs are missing, but {reads}; give a file of them (--inputs)")
    if isinstance(network, ClosedLoop) and inputs is not None:
        inputs, states = None, network.warm_up(inputs)
    # last, as it takes a second and bad input should be refused at once
    from ..runs.lyapunov import lyapunov_spectrum

    return lyapunov_spectrum(
        network, inputs, initial_state=states, checkpoint=task.run, **task.options
    )


def _network(task: Task) -> tuple[Network, str | None]:
    """Return the network and its weights file."""
    from ..weights.load import load, load_closed_loop

    if isinstance(task.network, Network):
        return task.network, None
    # workers may have another working folder, and messages name the file as it was given
    weights = task.network
    if os.getcwd() != task.folder:
        weights = os.path.join(task.folder, task.network)
    if task.closed_loop:
        network: Network = load_closed_loop(weights, Hints(**task.load_options), task.readout)
        network.origin = f"{task.network}, closed loop"
    else:
        network = load(weights, **task.load_options)
        network.origin = task.network
    return network, weights


@contextmanager
def _ending_signals() -> Iterator[None]:
    """Turn the first ending signal into KeyboardInterrupt, and pass it on when all is written.

    In threads other than the main one, where signals do not arrive, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        # the last checkpoint must not be interrupted
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for first in received:
            os.kill(os.getpid(), first)
