"""The last step of a run: its result and its records, in one file."""

from __future__ import annotations

import threading
from pathlib import Path

from ...errors import CheckpointError
from ...spectra.file import write_spectrum
from ...spectra.spectrum import Spectrum
from .checkpointer import finished
from .records import Records

__all__ = ["write_result"]


def write_result(spectrum: Spectrum, path: Path, records: Records | None, folder: Path) -> None:
    """Write the run file; the parts in ``folder`` stay as they are.

    In a thread of its own, as signals reach the main thread only, and HDF5 must not be
    interrupted.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    KeyboardInterrupt
        If the run was interrupted meanwhile; the file is there whole, or it is not.
    """
    errors: list[BaseException] = []

    def write() -> None:
        try:
            write_spectrum(spectrum, path, overwrite=True, records=records, scratch=folder)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=write, name="lyapy-result")
    thread.start()
    interruption = finished(thread, records.stop.set if records else None)
    if interruption is not None:
        raise interruption
    for error in errors:
        if isinstance(error, OSError):
            raise CheckpointError(
                f"{error.strerror or error}; all is kept in {folder}: run the command again to "
                "write it"
            ) from None
        raise error
