"""A run with a run file: begun, continued, or read if it is finished."""

import logging
import math
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from ...arrays import Array
from ...errors import CheckpointError, Interrupted
from ...spectra.file import check_run_output, write_spectrum
from ...spectra.spectrum import Spectrum
from ...storage import lock
from ...storage.atomic import check_apart
from ...storage.sealed import DamagedError
from ..computation import compute_spectrum
from ..options import Keep
from ..plan import Plan
from ..provenance import now
from ..result import Layout
from .checkpointer import Checkpointer, finished
from .folder import (
    Checkpoint,
    checkpoint_folder,
    newest_state,
    open_segments,
    read_checkpoint,
    remove,
)
from .identity import differing, is_place

log = logging.getLogger("lyapy")
CHUNK_BYTES = 1 << 20


class Records(NamedTuple):
    """The records of a finished run, still in its segments; ``stop`` interrupts `write`."""

    folder: Path
    saved: Checkpoint
    layout: Layout
    stop: threading.Event

    def write(self, group: h5py.Group, check: Callable[[], None]) -> None:
        """Write the records into a group, some rows at a time, with ``check()`` between them."""
        B, rows = self.layout.trajectories, len(self.layout.record_steps)
        group.create_dataset("step", data=self.layout.record_steps, fletcher32=True)
        written = dict.fromkeys(self.layout.record_shapes, 0)
        for name, shape in self.layout.record_shapes.items():
            along = max(1, min(rows, CHUNK_BYTES // (8 * max(math.prod(shape), 1))))
            group.create_dataset(
                name,
                (B, rows, *shape),
                "f8",
                chunks=(1, along, *shape),
                compression="gzip",
                shuffle=True,
                fletcher32=True,
            )
        for b, name, first, array in self._pieces():
            group[name][b, first : first + len(array)] = array
            written[name] += len(array)
            check()
            if self.stop.is_set():
                raise KeyboardInterrupt
        short = [name for name, count in written.items() if count != B * rows]
        if short:
            raise DamagedError(f"{self.folder}: rows of {', '.join(short)} are missing")

    def _pieces(self) -> Iterator[tuple[int, str, int, Array]]:
        """Yield trajectory, name, first row and rows of all records in the segments."""
        for segment in open_segments(self.folder, self.saved):
            for b in segment:
                for name in self.layout.record_shapes:
                    found = segment.get(f"{b}/records/{name}")
                    if found is not None:
                        yield int(b), name, int(found.attrs["first_row"]), found.read()


def run_checkpointed(plan: Plan, keep: Keep) -> Spectrum:
    """Compute a spectrum into its run file, or continue, or read it if it is finished.

    Raises ValueError for another run's file or unusable checkpoints, LockedError if another
    process is computing the run, CheckpointError if a file cannot be written, and Interrupted.
    """
    check_apart(keep.shown, [plan.network.origin])
    folder = checkpoint_folder(keep.path)
    _refuse_old(keep)
    done = _find_finished(plan, keep)
    if done is not None:
        # left by a kill; another process that holds the lock is about to remove them itself
        with suppress(OSError):
            if folder.exists():
                with lock.held(folder, keep.shown):
                    _remove_own(plan, folder)
        return done
    _check_space(plan, keep, folder)
    with lock.held(folder, keep.shown):
        done = _find_finished(plan, keep)
        if done is not None:
            _remove_own(plan, folder)
            return done
        saved, history = _saved_or_new(plan, keep, folder)
        remove(folder, keep=saved)
        checkpointer = Checkpointer(folder, saved, history, keep.checkpoint_every)
        with _interruptible(keep, checkpointer):
            with checkpointer:
                spectrum = compute_spectrum(plan, checkpointer)
            if saved.settings.get("environment_changes"):
                spectrum.settings["environment_changes"] = saved.settings["environment_changes"]
            records = None
            if plan.layout.record_shapes:
                records = Records(folder, checkpointer.saved, plan.layout, threading.Event())
            write_result(spectrum, keep, records, folder)
            remove(folder)
        return spectrum


@contextmanager
def _interruptible(keep: Keep, checkpointer: Checkpointer) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        kept = f"checkpoint {checkpointer.saved.number}" if checkpointer.saved.number else "nothing"
        raise Interrupted(
            f"{keep.shown}: interrupted after {checkpointer.seconds:.0f} s, {kept} is kept; run "
            "the same command again to continue"
        ) from None


def write_result(spectrum: Spectrum, keep: Keep, records: Records | None, folder: Path) -> None:
    """Write the run file, whole or, after a KeyboardInterrupt, not; the checkpoints stay."""
    # in a thread, because HDF5 must not be interrupted and signals reach the main one only
    errors: list[BaseException] = []

    def write() -> None:
        try:
            write_spectrum(
                *(spectrum, keep.path), overwrite=keep.overwrite, records=records, scratch=folder
            )
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=write, name="lyapy-result")
    thread.start()
    interruption = finished(thread, records.stop.set if records else None)
    if interruption is not None:
        raise interruption
    for error in errors:
        if isinstance(error, FileExistsError):
            raise CheckpointError(
                f"{keep.shown}: appeared during the run, and is left alone; all is kept in "
                f"{folder}: move the file away and run the command again"
            ) from None
        if isinstance(error, OSError):
            raise CheckpointError(
                f"{error.strerror or error}; all is kept in {folder}: run the command again to "
                "write it"
            ) from None
        raise error


def _remove_own(plan: Plan, folder: Path) -> None:
    """Remove the checkpoints of the finished run, but not of another that is to replace it."""
    saved = newest_state(folder)
    if saved is None or all(map(is_place, differing(saved.settings, plan.settings))):
        remove(folder)


def _refuse_old(keep: Keep) -> None:
    old = Path(f"{keep.path}.parts")
    if old.is_dir():
        raise ValueError(
            f"{old}: holds an unfinished run of checkpoint format 2, which this lyapy does not "
            "continue; finish it with the lyapy that began it, or delete the folder"
        )


def _find_finished(plan: Plan, keep: Keep) -> Spectrum | None:
    """Return the finished run, None if it is still to be computed; refuse another file."""
    check_run_output(keep.shown, overwrite=keep.overwrite)
    if not keep.path.exists() or keep.overwrite:
        return None
    spectrum = Spectrum.load(keep.path)
    changes = _refuse_others(keep, spectrum.settings, plan.settings)
    log.info("%s: finished already, on %s", keep.shown, spectrum.settings.get("date"))
    for change in changes:
        log.info("%s: was computed elsewhere: %s", keep.shown, change)
    return spectrum


def _saved_or_new(plan: Plan, keep: Keep, folder: Path) -> tuple[Checkpoint, dict[int, Array]]:
    """Return the checkpoint to continue from, with its history."""
    try:
        saved, history, damaged = read_checkpoint(folder)
        changes = _refuse_others(keep, saved.settings, plan.settings) if saved else []
    except ValueError:
        if not keep.overwrite:
            raise
        saved = None
    if saved is None:
        return Checkpoint(0, now(), plan.settings, plan.layout, {}, {}), {}
    for damage in damaged:
        warnings.warn(f"{damage}; the checkpoint before it is used", RuntimeWarning, stacklevel=2)
    for change in changes:
        warnings.warn(
            f"{keep.shown}: continues under other conditions, the last bits may differ: {change}",
            RuntimeWarning,
            stacklevel=2,
        )
    log.info("%s: continues from checkpoint %d, of %s", keep.shown, saved.number, saved.date)
    earlier = list(saved.settings.get("environment_changes") or [])
    kept = {
        "seconds": saved.settings["seconds"],
        "segments": saved.settings["segments"],
        "environment_changes": earlier + [f"{now()}: {change}" for change in changes],
    }
    return saved._replace(settings=plan.settings | kept), history


def _refuse_others(keep: Keep, found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return the differences of place; raise ValueError if more differs."""
    different = differing(found, wanted)
    of_place = {key for key in different if is_place(key)}
    if keep.any_backend:
        of_place |= {"backend"} & different.keys()
    asked = [f"{key} is {both}" for key, both in different.items() if key not in of_place]
    where = [f"{key} is {both}" for key, both in different.items() if key in of_place]
    if asked:
        other = ", or continue it with any_backend=True (--any-backend)"
        raise ValueError(
            f"{keep.shown}: is another run, {'; '.join(asked)}; give another output, or replace it "
            "with overwrite=True (--overwrite)"
            + (other if different.keys() - of_place == {"backend"} else "")
        )
    if where and keep.require_identical:
        raise ValueError(
            f"{keep.shown}: was begun under other conditions, {'; '.join(where)}; continue there, "
            "or without require_identical (--require-identical)"
        )
    return where


def _check_space(plan: Plan, keep: Keep, folder: Path) -> None:
    """Raise CheckpointError if the disk has no room for the records still to be written."""
    free = shutil.disk_usage(keep.path.parent).free
    needed = plan.layout.record_bytes
    needed -= sum(path.stat().st_size for path in folder.glob("segment-*"))
    if needed > free:
        raise CheckpointError(
            f"{keep.shown}: the records need up to {needed / 1e9:.3g} GB more, and "
            f"{free / 1e9:.3g} GB are free; record less, or choose another folder"
        )
