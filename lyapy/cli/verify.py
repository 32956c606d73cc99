"""``lyapy verify``: the digests of a run file, or of the checkpoints of an unfinished run."""

import argparse
import os

from .messages import write

SUMMARY = "check the digests of a run file, or of the checkpoints of an unfinished run"
EXAMPLE = "lyapy verify run.h5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="of lyapy spectrum, or of lyapy merge")


def run(arguments: argparse.Namespace) -> int:
    """Print what is whole or damaged; the exit code is 1 if anything is damaged."""
    from ..runs.checkpoint.folder import checkpoint_folder, verify

    path, folder = arguments.run, checkpoint_folder(arguments.run)
    if folder.is_dir() and not os.path.exists(path):
        write(f"{path}: unfinished; its checkpoints in {folder}:")
        found = verify(folder)
        for name, wrong in found.items():
            write(f"  {name}: {'DAMAGED, ' + wrong if wrong else 'whole'}")
        return int(any(found.values()))
    from ..spectra.spectrum import Spectrum
    from ..storage.sealed import check_seal
    from ..sweeps.merged_file import is_merged, read_rows

    try:
        digest = check_seal(path)
        read_rows(path) if is_merged(path) else Spectrum.load(path)
    except ValueError as error:
        write(f"{error}: DAMAGED")
        return 1
    write(f"{path}: whole, SHA-256 {digest}")
    return 0
