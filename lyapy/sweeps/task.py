"""One network of a sweep, computed in a worker into its run file or a failure file."""

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
from ..storage.atomic import check_apart, write_whole
from ..weights.frameworks.layer import Hints
from .names import failure_file

# signals that end a worker; a terminal's SIGINT reaches every process of the sweep
# Windows lacks the second
ENDING = (signal.SIGTERM, getattr(signal, "SIGUSR1", signal.SIGTERM))


class Outcome(NamedTuple):
    """How a network of a sweep ended; ``locked`` if another process is computing it.

    ``message`` is its largest exponent and status, or the error, in one line; ``refused`` if a
    finished result would be replaced.
    """

    name: str
    code: Literal["computed", "failed", "refused", "locked", "interrupted"]
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

    @property
    def overwrite(self) -> bool:
        """Whether a finished result of another run may be replaced."""
        return bool(self.options.get("overwrite", False))


def compute(task: Task) -> Outcome:
    """Compute a network in a worker, or continue it, or find it finished."""
    try:
        with _ending_signals():
            return attempt(task.name, task.run, lambda: spectrum_of(task), task.overwrite)
    except KeyboardInterrupt as stop:
        message = str(stop) if isinstance(stop, Interrupted) else "interrupted before it began"
        return Outcome(task.name, "interrupted", message)


def attempt(
    name: str, run: Path, compute: Callable[[], Spectrum], overwrite: bool = False
) -> Outcome:
    """Compute a network into its run file by ``compute``, or write its failure file.

    Raises CheckpointError if nothing can be written, and Interrupted; the same call continues.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    if not run.exists():
        failure_file(run).unlink(missing_ok=True)
    try:
        spectrum = compute()
    except LockedError as error:
        return Outcome(name, "locked", str(error))
    except CheckpointError:
        raise
    except Exception as error:  # no error of one network may stop the others
        return give_up(name, run, describe(error), overwrite)
    failure_file(run).unlink(missing_ok=True)
    status = spectrum.status
    why = f": {status.advice.partition('. ')[0].rstrip('.')}" if status.advice else ""
    message = f"largest exponent {spectrum.largest:.6g} {spectrum.units}, {status.code}{why}"
    return Outcome(name, "computed", message)


def give_up(name: str, run: Path, reason: str, overwrite: bool = False) -> Outcome:
    """Write the failure file of a network, unless that would hide a finished result."""
    if not overwrite and _is_finished(run):
        return Outcome(name, "refused", f"{reason}; its finished result stays")
    run.parent.mkdir(parents=True, exist_ok=True)
    write_whole(failure_file(run), f"{reason}\n".encode(), overwrite=True)
    return Outcome(name, "failed", reason)


def _is_finished(run: Path) -> bool:
    try:
        Spectrum.load(run)
    except (OSError, ValueError):
        return False
    return True


def check_readout(readout: str | None, closed_loop: bool) -> None:
    """Raise ValueError if a read-out is named without a loop to close."""
    if readout is not None and not closed_loop:
        remedy = "add closed_loop=True (--closed-loop)"
        raise ValueError(f"readout is {readout!r}, for an open loop; {remedy}")


def spectrum_of(task: Task) -> Spectrum:
    """Compute a task's spectrum into its run file, or continue, or read it if it is finished."""
    network, weights = network_of(task)
    inputs, states = inputs_of(task, network, weights), None
    if isinstance(network, ClosedLoop) and inputs is not None:
        inputs, states = None, network.warm_up(inputs)
    # last, as it takes a second and bad input should be refused at once
    from ..runs.lyapunov import lyapunov_spectrum

    return lyapunov_spectrum(
        network, inputs, initial_state=states, checkpoint=task.run, **task.options
    )


def network_of(task: Task) -> tuple[Network, str | None]:
    """Return the network of a task and its weights file; raises as `spectrum_of`."""
    from ..runs.inputs import input_file
    from ..weights.load import load, load_closed_loop

    check_readout(task.readout, task.closed_loop)
    if task.vocabulary is not None and task.inputs is None:
        raise ValueError("--vocabulary: is given without a text; add --inputs FILE.txt")
    named = task.network if isinstance(task.network, str) else None
    check_apart(task.run, [named, input_file(task.inputs), task.vocabulary])
    if isinstance(task.network, Network):
        return task.network, None
    # workers may have another working folder, and messages name the file as it was given
    same_folder = os.getcwd() == task.folder
    weights = task.network if same_folder else os.path.join(task.folder, task.network)
    if task.closed_loop:
        network: Network = load_closed_loop(weights, Hints(**task.load_options), task.readout)
        network.origin = f"{task.network}, closed loop"
    else:
        network = load(weights, **task.load_options)
        network.origin = task.network
    return network, weights


def inputs_of(task: Task, network: Network, weights: str | None) -> Any:
    """Return the inputs of a task, None if it has none; raises as `spectrum_of`."""
    from ..runs.inputs import read_inputs, read_vocabulary

    if task.inputs is not None:
        reads = network.open_loop if isinstance(network, ClosedLoop) else network
        text = task.inputs.lower().endswith(".txt")
        if task.vocabulary is not None and not text:
            raise ValueError("--vocabulary: is for text; add --inputs FILE.txt")
        characters = None if task.vocabulary is None else read_vocabulary(task.vocabulary)
        return read_inputs(task.inputs, reads, characters)
    if network.input_size:
        raise ValueError(
            f"inputs are missing, but {weights or 'the network'} reads {network.input_size} at "
            "every step; give a file of them (--inputs)"
        )
    return None


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
