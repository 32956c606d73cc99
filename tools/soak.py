"""Kill runs again and again: ``python -m tools.soak --kills 1000 [--write]``.

Small runs are killed by SIGKILL, half of them after a random time and half before a random change
to their files (a write, a sync, a rename …), until they have ended; then the next one begins. All
the while another process opens whatever is there, by lyapy and by plain h5py.
"""

import argparse
import json
import mmap
import os
import shutil
import signal
import struct
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import lyapy
from lyapy.runs import schedule
from lyapy.runs.checkpoint import checkpointer
from lyapy.runs.checkpoint.folder import checkpoint_folder, newest_state
from lyapy.runs.checkpoint.unfinished import read_unfinished
from lyapy.storage.sealed import DamagedError, check_seal
from tests.support.made_checkpoints import datasets
from tests.support.watched_files import watched
from tools.tables import add_write, head, report, row, storage

RUNS = [
    ("lstm", {}, {}),
    ("gru", {}, {"record": ("growth", "states"), "record_every": 16}),
    ("vanilla", {}, {"record": ("frames", "factors"), "record_every": 32}),
]
STEPS, EVERY = 128, 0.005
FAILED = 9


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=1, help="soaks side by side")
    parser.add_argument("--folder", help="for the runs, such as one in memory")
    add_write(parser)
    arguments = parser.parse_args()
    schedule.CHUNK_TILES = 1
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        count = soak_side_by_side(Path(folder), arguments.kills, arguments.at_once)
    lines = [head("counted", ""), *(row(text, count[name]) for text, name in ROWS)]
    command = f"python -m tools.soak --kills {arguments.kills} --at-once {arguments.at_once}"
    report(lines, f"`{command}`; {storage()}.", "reliability.md#soak", arguments.write)


def compute(path, number):
    kind, build, options = RUNS[number]
    network = lyapy.random_network(kind, 4, 2, gain=1.5, seed=number, **build)
    drive = np.random.default_rng(number).normal(size=(2, STEPS, 2))
    every = {"checkpoint_every": EVERY, "transient": 32, "threads": 2, "backend": "numpy"}
    lyapy.lyapunov_spectrum(network, drive, checkpoint=path, **every, **options)


def soak_side_by_side(folder, kills, at_once):
    folders = [folder / str(seed) for seed in range(at_once)]
    for seed, one in enumerate(folders):
        one.mkdir()
        start(soak, one, -(-kills // at_once), np.random.default_rng(seed))
    count = Counter()
    count["failures"] += sum(os.wait()[1] != 0 for _ in folders)
    for one in folders:
        count += Counter(json.loads((one / "count.json").read_text()))
    return count


def soak(folder, kills, rng):
    """Count until ``kills`` processes were killed and the last run ended."""
    count, acknowledged = Counter(), mmap.mmap(-1, 16)
    wanted, durations, changes = [], [], []
    for number in range(len(RUNS)):
        began, seen = time.monotonic(), Counter()
        with watched(before=lambda *_, seen=seen: seen.update(changes=1)):
            compute(folder / f"whole-{number}.h5", number)
        wanted.append(datasets(folder / f"whole-{number}.h5"))
        durations.append(time.monotonic() - began)
        changes.append(seen["changes"])
    runs = folder / "runs"
    runs.mkdir()
    reader = start(read_on, runs, folder / "reader.json")
    while count["kills"] < kills:
        number = count["runs"] % len(RUNS)
        live = runs / str(count["runs"])
        live.mkdir()
        acknowledged[:8] = bytes(8)
        for _ in range(200):
            at_change = int(rng.integers(1, changes[number])) if rng.random() < 0.5 else 0
            child = start(compute_acknowledged, live / "run.h5", number, at_change, acknowledged)
            if not at_change:
                time.sleep(rng.uniform(0.0, durations[number]))
                os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            if not os.WIFSIGNALED(status):
                count["failures"] += os.WEXITSTATUS(status) != 0
                break
            count["kills"] += 1
            count["kills before a change"] += at_change > 0
            inspect(live, wanted[number], acknowledged, count)
        count["runs"] += 1
        count["identical"] += finished(live, wanted[number])
        shutil.rmtree(live)
        (folder / "count.json").write_text(json.dumps(count))
    os.kill(reader, signal.SIGTERM)
    os.waitpid(reader, 0)
    count.update(json.loads((folder / "reader.json").read_text()))
    (folder / "count.json").write_text(json.dumps(count))


def start(do, *arguments):
    child = os.fork()
    if child:
        return child
    code = FAILED
    try:
        do(*arguments)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def compute_acknowledged(path, number, at_change, acknowledged):
    """Compute, and report each checkpoint where a kill does not reach; die at a change."""
    write = checkpointer.write_checkpoint

    def write_checkpoint(*arguments):
        saved = write(*arguments)
        acknowledged[:8] = struct.pack("q", saved.number)
        return saved

    changes = 0

    def die(*_):
        nonlocal changes
        changes += 1
        if changes == at_change:
            os.kill(os.getpid(), signal.SIGKILL)

    # a kill is no reason to warn of damage
    warnings.filterwarnings("error", category=RuntimeWarning)
    checkpointer.write_checkpoint = write_checkpoint
    with watched(before=die):
        compute(path, number)


def inspect(live, wanted, acknowledged, count):
    path = live / "run.h5"
    folder = checkpoint_folder(path)
    for part in folder.glob("s*.h5") if folder.exists() else ():
        count["files"] += 1
        try:
            check_seal(part)
        except DamagedError:
            count["bad files"] += 1
    if path.exists():
        count["kills after the result"] += 1
        count["bad files"] += datasets(path) != wanted
        return
    saved = newest_state(folder) if folder.exists() else None
    newest, (reported,) = saved.number if saved else 0, struct.unpack("q", acknowledged[:8])
    count["lost"] += newest < reported
    count["kills with a checkpoint"] += reported > 0


def finished(live, wanted):
    """Return whether a run has left its result, that of one never killed, and nothing else."""
    return os.listdir(live) == ["run.h5"] and datasets(live / "run.h5") == wanted


def read_on(runs, result):
    count, going = Counter(), [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    warnings.simplefilter("ignore")
    while going:
        path = next(runs.iterdir(), runs / "none") / "run.h5"
        files = [*path.parent.glob("run.h5.checkpoints/s*.h5"), *path.parent.glob("run.h5")]
        reads = [(read_by_lyapy, "lyapy", path), *((datasets, "h5py", file) for file in files)]
        for read, name, file in reads:
            try:
                count[f"read by {name}"] += read(file) is not None
            except Exception as error:
                if is_gone(path.parent if name == "lyapy" else file, error):
                    count["not there any more"] += 1
                else:
                    print(f"reader: {file.name}: {error!r}", flush=True)
                    count["failed to read"] += 1
        # the runs need a processor too
        time.sleep(0.2)
    result.write_text(json.dumps(count))


def is_gone(path, error):
    """Return whether a file was removed after it was listed; a segment can come again."""
    replaced = path.name.startswith("segment") and isinstance(error, FileNotFoundError)
    return replaced or not path.exists()


def read_by_lyapy(path):
    """Return the result, or how far the run is, None where there is neither."""
    found = None if path.exists() else read_unfinished(path)
    return lyapy.Spectrum.load(path) if found is None and path.exists() else found


ROWS = [
    ("SIGKILLs", "kills"),
    ("of them before a random change to a file", "kills before a change"),
    ("of them with a checkpoint to continue from", "kills with a checkpoint"),
    ("of them after the result was in place", "kills after the result"),
    ("states and segments found and checked after the kills", "files"),
    ("**bad files**", "bad files"),
    ("**acknowledged checkpoints lost** (more than one interval of work repeated)", "lost"),
    ("runs", "runs"),
    ("**runs that failed**", "failures"),
    ("results with datasets byte-identical to those of a run never killed", "identical"),
    ("reads by lyapy while the runs went on", "read by lyapy"),
    ("files read by plain h5py meanwhile", "read by h5py"),
    ("files that were replaced or removed between listing and opening", "not there any more"),
    ("**reads that failed**", "failed to read"),
]


if __name__ == "__main__":
    main()
