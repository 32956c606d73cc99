"""A run with a file of its own: begun, continued, or found to be finished."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CheckpointError, Interrupted
from ...spectra.file import check_run_output
from ...spectra.spectrum import Spectrum
from ...storage import lock
from ..recording import Recording
from .checkpointer import Checkpointer
from .ending import write_result
from .identity import differing, is_environment
from .parts import Saved, newest_state, now, parts_folder, read_saved, remove
from .records import records_of
from .shapes import Layout

__all__ = ["RunFile", "check_run_file", "run_checkpointed"]

log = logging.getLogger("lyapy")


class RunFile(NamedTuple):
    """Where a run is kept, and what may happen to what is there.

    Attributes
    ----------
    path : Path
        Of the result; the parts of an unfinished run lie in a folder beside it.
    shown : str
        The path as it was given.
    every : float
        Seconds between two checkpoints.
    overwrite : bool
        Replace a finished run, another run, or another file.
    require_identical : bool
        Refuse to continue with other versions, threads or on another machine.
    any_backend : bool
        Continue what another backend began.
    """

    path: Path
    shown: str
    every: float
    overwrite: bool
    require_identical: bool
    any_backend: bool = False


def check_run_file(
    path: str | PathLike[str] | None,
    every: float,
    overwrite: bool,
    require_identical: bool,
    recording: Recording,
    any_backend: bool = False,
) -> RunFile | None:
    """Return where the run is kept, None if nowhere.

    Raises
    ------
    ValueError
        If ``every`` is no time, or records are to be kept nowhere.
    """
    if not 0.0 < every < float("inf"):
        raise ValueError(f"checkpoint_every is {every!r}; it must be a positive number of seconds")
    if path is None:
        if recording.kinds:
            raise ValueError(
                f"record is {', '.join(recording.kinds)}, which goes to a file on the way; give "
                "checkpoint=FILE"
            )
        return None
    # as its target, of which a link elsewhere would have other parts
    target = Path(os.path.realpath(path))
    return RunFile(target, os.fspath(path), every, overwrite, require_identical, any_backend)


def run_checkpointed(
    run: RunFile,
    settings: dict[str, Any],
    layout: Layout,
    compute: Callable[[Checkpointer], Spectrum],
) -> Spectrum:
    """Compute a spectrum into its run file, or continue, or read it where it is finished.

    Parameters
    ----------
    run : RunFile
    settings : dict
        What is asked for, and where it runs.
    layout : Layout
        Of the run's arrays.
    compute
        The rest of the computation, which the checkpointer is given to.

    Raises
    ------
    ValueError
        If the file is another run's, or parts of the run are damaged beyond use.
    LockedError
        If another process is computing it.
    CheckpointError
        If a checkpoint or the result cannot be written.
    Interrupted
        If the run is interrupted; it can be continued.
    """
    folder = parts_folder(run.path)
    found = _find_finished(run, settings)
    if found is not None:
        # those that a kill has left; where another process is at work, it is about to remove them
        with suppress(OSError):
            if folder.exists():
                with lock.held(folder, run.shown):
                    _remove_own(folder, settings)
        return found
    _check_space(run, layout, folder)
    with lock.held(folder, run.shown):
        found = _find_finished(run, settings)
        if found is not None:
            _remove_own(folder, settings)
            return found
        saved, changes = _saved_or_new(run, folder, settings, layout)
        remove(folder, keep=saved)
        checkpointer = Checkpointer(folder, saved, run.every)
        with _interruptible(run, checkpointer):
            with checkpointer:
                spectrum = compute(checkpointer)
            if changes:
                spectrum.settings["environment_changes"] = changes
            records = records_of(folder, checkpointer.saved, layout)
            write_result(spectrum, run.path, records, folder)
            remove(folder)
        return spectrum


@contextmanager
def _interruptible(run: RunFile, checkpointer: Checkpointer) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        kept = f"checkpoint {checkpointer.saved.number}" if checkpointer.saved.number else "nothing"
        raise Interrupted(
            f"{run.shown}: interrupted after {checkpointer.seconds:.0f} s, {kept} is kept; run the "
            "same command again to continue"
        ) from None


def _remove_own(folder: Path, settings: dict[str, Any]) -> None:
    """Remove the parts of a finished run, but not those of another one that is to replace it."""
    saved = newest_state(folder)
    if saved is None or all(is_environment(key) for key in differing(saved.settings, settings)):
        remove(folder)


def _find_finished(run: RunFile, settings: dict[str, Any]) -> Spectrum | None:
    """Return the finished run, None where it is still to be computed.

    Raises
    ------
    ValueError, FileExistsError
        If there is another run or another file.
    """
    check_run_output(run.shown, overwrite=run.overwrite)
    if not run.path.exists() or run.overwrite:
        return None
    spectrum = Spectrum.load(run.path)
    changes = _refuse_others(run, spectrum.settings, settings)
    log.info("%s: finished already, on %s", run.shown, spectrum.settings.get("date"))
    for change in changes:
        log.info("%s: was computed elsewhere: %s", run.shown, change)
    return spectrum


def _saved_or_new(
    run: RunFile, folder: Path, settings: dict[str, Any], layout: Layout
) -> tuple[Saved, list[str]]:
    """Return the checkpoint to continue from, and what has changed about the machine since."""
    new = Saved(0, now(), settings, layout, {}, {})
    try:
        saved, damaged = read_saved(folder)
        changes = _refuse_others(run, saved.settings, settings) if saved else []
    except ValueError:
        if not run.overwrite:
            raise
        saved = None
    if saved is None:
        return new, []
    for what in damaged:
        warnings.warn(f"{what}; the checkpoint before it is used", RuntimeWarning, stacklevel=2)
    for change in changes:
        warnings.warn(
            f"{run.shown}: continues under other conditions, the last bits may differ: {change}",
            RuntimeWarning,
            stacklevel=2,
        )
    log.info("%s: continues from checkpoint %d, of %s", run.shown, saved.number, saved.date)
    earlier = list(saved.settings.get("environment_changes") or [])
    changes = earlier + [f"{now()}: {change}" for change in changes]
    kept = {**settings, "seconds": saved.settings["seconds"], "environment_changes": changes}
    return saved._replace(settings=kept), changes


def _refuse_others(run: RunFile, found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return what differs about the machine; raise ValueError if more differs."""
    different = differing(found, wanted)
    of_place = {key for key in different if is_environment(key)}
    if run.any_backend:
        of_place |= {"backend"} & different.keys()
    asked = [f"{key} is {what}" for key, what in different.items() if key not in of_place]
    where = [f"{key} is {what}" for key, what in different.items() if key in of_place]
    if asked:
        other = ", or continue it with any_backend=True (--any-backend)"
        raise ValueError(
            f"{run.shown}: is another run, {'; '.join(asked)}; give another output, or replace it "
            "with overwrite=True (--overwrite)"
            + (other if different.keys() - of_place == {"backend"} else "")
        )
    if where and run.require_identical:
        raise ValueError(
            f"{run.shown}: was begun under other conditions, {'; '.join(where)}; continue there, "
            "or without require_identical (--require-identical)"
        )
    return where


def _check_space(run: RunFile, layout: Layout, folder: Path) -> None:
    """Raise CheckpointError if the disk has no room for the records still to be written."""
    free = shutil.disk_usage(run.path.parent).free
    needed = layout.record_bytes - sum(path.stat().st_size for path in folder.glob("segment-*"))
    if needed > free:
        raise CheckpointError(
            f"{run.shown}: the records need up to {needed / 1e9:.3g} GB more, and "
            f"{free / 1e9:.3g} GB are free; record less, or choose another folder"
        )
