"""Damage the checkpoints of a run: ``python -m tools.damage [--flips 1000] [--write]``.

An unfinished run is copied, one bit of one of its files is flipped or the file is truncated, and
the run is continued. Either it gives the same result, or it is refused by the name of the
file; anything else would be damage used in silence.
"""

import argparse
import contextlib
import shutil
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.errors import Interrupted
from lyapy.runs.checkpoint.folder import checkpoint_folder
from tests.support.made_checkpoints import OFTEN, datasets, stop_after
from tools.tables import add_write, head, report, row, storage

NETWORK = lyapy.random_network("gru", 3, 1, gain=1.5, seed=1)
DRIVE = np.random.default_rng(0).normal(size=(2, 160, 1))
SAME = "same result, the checkpoint before was used, with a warning that names the file"
UNREAD = "same result, the file was not needed"
REFUSED = "refused, with the name of the file"
SILENT = "**silent**"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--folder", help="for the runs, such as one in memory")
    add_write(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder, rng = Path(name), np.random.default_rng(0)
        with pytest.MonkeyPatch.context() as patch:
            files, wanted = unfinished_run(folder, patch)
            flipped = count(flips(files, arguments.flips, rng), files, wanted, folder)
            cut = count(truncations(files, 512), files, wanted, folder)
    lines = [head("outcome", "flipped bits", "truncations")]
    lines += [row(name, flipped[name], cut[name]) for name in (SAME, UNREAD, REFUSED, SILENT)]
    lines += [row("in all", flipped.total(), cut.total())]
    note = f"`python -m tools.damage --flips {arguments.flips}`; {storage()}."
    report(lines, note, "reliability.md#damage", arguments.write)


def unfinished_run(folder, patch):
    """Return the states and segments of a run before its last chunks, and its result."""
    path = folder / "run.h5"
    with patch.context() as stopping, contextlib.suppress(Interrupted):
        stop_after(8, stopping)
        compute(path, every=OFTEN)
    files = {part.name: part.read_bytes() for part in sorted(checkpoint_folder(path).glob("s*.h5"))}
    compute(path)
    wanted = datasets(path)
    path.unlink()
    return files, wanted


def compute(path, every=300.0):
    record = {"record": ("growth", "states"), "record_every": 32, "checkpoint_every": every}
    lyapy.lyapunov_spectrum(NETWORK, DRIVE, backend="numpy", threads=1, checkpoint=path, **record)


def flips(files, number, rng):
    ends = np.cumsum([len(content) for content in files.values()])
    for bit in rng.integers(8 * ends[-1], size=number):
        i = int(np.searchsorted(ends, bit // 8, side="right"))
        name = list(files)[i]
        content = bytearray(files[name])
        content[bit // 8 - ends[i]] ^= 1 << (bit % 8)
        yield name, bytes(content)


def truncations(files, step):
    for name, content in files.items():
        for size in range(0, len(content), step):
            yield name, content[:size]


def count(damages, files, wanted, folder):
    found = Counter()
    for name, content in damages:
        inside = checkpoint_folder(folder / "run.h5")
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir()
        for other, whole in files.items():
            (inside / other).write_bytes(content if other == name else whole)
        found[outcome(folder / "run.h5", name, wanted)] += 1
    return found


def outcome(path, name, wanted):
    """Continue a run of which the named file is damaged, and return the outcome."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            compute(path)
        except (ValueError, OSError) as error:
            return REFUSED if name in str(error) else SILENT
    same = datasets(path) == wanted
    path.unlink()
    if not same:
        return SILENT
    return SAME if any(name in str(warning.message) for warning in warned) else UNREAD


if __name__ == "__main__":
    main()
