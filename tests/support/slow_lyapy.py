"""lyapy as on a slow machine, for tests that must meet a run on its way.

Each chunk of a trajectory takes LYAPY_SLOW seconds more, until the job is requeued.
"""

import os
import sys
import time

from lyapy.cli import main
from lyapy.runs import schedule
from lyapy.runs.trajectory import Trajectory

SECONDS = float(os.environ.get("LYAPY_SLOW", "0"))
# of a chunk, for many of them in a short run
TILES = 2


def slowed(trajectory, *others):
    time.sleep(SECONDS)
    return advance(trajectory, *others)


if __name__ == "__main__":
    schedule.CHUNK_TILES = TILES
    if SECONDS and "SLURM_RESTART_COUNT" not in os.environ:
        advance, Trajectory.advance = Trajectory.advance, slowed
    sys.exit(main())
