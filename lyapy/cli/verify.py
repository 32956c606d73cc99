"""``lyapy verify``: the digests of a run file, or of the checkpoints of an unfinished run."""

import argparse
import os

from .messages import write

SUMMARY = "check the digests of a run file, or of the checkpoints of an unfinished run"
EXAMPLE = "lyapy verify run.h5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="of lyapy spectrum, merge or vectors")


def run(arguments: argparse.Namespace) -> int:
    """Report each file as whole or damaged; the exit code is 1 if any is damaged."""
    from ..runs.checkpoint.folder import checkpoint_folder, verify
    from ..vectors.checkpoint import state_file

    path, folder = arguments.run, checkpoint_folder(arguments.run)
    if not os.path.exists(path) and state_file(path).exists():
        path = str(state_file(path))
    if folder.is_dir() and not os.path.exists(path):
        write(f"{path}: unfinished; its checkpoints in {folder}:")
        found = verify(folder)
        for name, wrong in found.items():
            write(f"  {name}: {'DAMAGED, ' + wrong if wrong else 'whole'}")
        return int(any(found.values()))
    from ..storage.sealed import check_seal

    try:
        digest = check_seal(path)
        _load(path)
    except ValueError as error:
        write(f"{error}: DAMAGED")
        return 1
    write(f"{path}: whole, SHA-256 {digest}")
    return 0


def _load(path: str) -> None:
    """Read a file of any kind, or raise ValueError."""
    from ..spectra.spectrum import Spectrum
    from ..sweeps.merged_file import is_merged, read_rows
    from ..vectors.checkpoint import is_state
    from ..vectors.result import CovariantVectors, is_vectors

    if is_state(path):
        return
    if is_vectors(path):
        CovariantVectors.load(path)
    elif is_merged(path):
        read_rows(path)
    else:
        Spectrum.load(path)
