"""A run with a file of its own: begun, continued, or found to be finished."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, Interrupted
from ...spectra.file import check_run_output
from ...spectra.spectrum import Spectrum
from ...storage import lock
from ..options import Keep
from ..plan import Plan
from ..provenance import now
from ..result import Layout
from .checkpointer import Checkpointer
from .ending import write_result
from .identity import differing, is_environment
from .parts import Saved, newest_state, parts_folder, read_saved, remove
from .records import records_of

__all__ = ["run_checkpointed"]

log = logging.getLogger("lyapy")


def run_checkpointed(plan: Plan, run: Keep) -> Spectrum:
    """Compute a spectrum into its run file, or continue, or read it if it is finished.

    Raises
    ------
    ValueError
        If the file is another run's, or checkpoints are damaged beyond use.
    LockedError
        If another process is computing it.
    CheckpointError
        If a checkpoint or the result cannot be written.
    Interrupted
        If the run is interrupted; it can be continued.
    """
    settings, layout = plan.settings, plan.layout
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
        checkpointer = Checkpointer(folder, saved, run.checkpoint_every)
        with _interruptible(run, checkpointer):
            with checkpointer:
                spectrum = plan.spectrum(checkpointer)
            if changes:
                spectrum.settings["environment_changes"] = changes
            records = records_of(folder, checkpointer.saved, layout)
            write_result(spectrum, run.path, records, folder)
            remove(folder)
        return spectrum


@contextmanager
def _interruptible(run: Keep, checkpointer: Checkpointer) -> Iterator[None]:
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


def _find_finished(run: Keep, settings: dict[str, Any]) -> Spectrum | None:
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
    run: Keep, folder: Path, settings: dict[str, Any], layout: Layout
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


def _refuse_others(run: Keep, found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
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


def _check_space(run: Keep, layout: Layout, folder: Path) -> None:
    """Raise CheckpointError if the disk has no room for the records still to be written."""
    free = shutil.disk_usage(run.path.parent).free
    needed = layout.record_bytes - sum(path.stat().st_size for path in folder.glob("segment-*"))
    if needed > free:
        raise CheckpointError(
            f"{run.shown}: the records need up to {needed / 1e9:.3g} GB more, and "
            f"{free / 1e9:.3g} GB are free; record less, or choose another folder"
        )
