"""Writing through the shield that keeps errors from HDF5."""

import subprocess
import sys

WRITE = """
import gc
from lyapy.storage.sealed import write_sealed
write_sealed("a.h5", lambda file, check: file.create_group("a"), overwrite=True)
gc.collect()
"""


def test_the_shield_is_freed_in_silence(tmp_path):
    # Python 3.13 reports errors there always, and the others in this mode
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-c", WRITE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
