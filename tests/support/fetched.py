"""Archives of packages, fetched by name and kept in pytest's cache."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def fetched(config: pytest.Config, package: str, version: str, archive: str) -> Path:
    """Return a package's archive, or skip the test where pip cannot get it."""
    kept = Path(config.cache.mkdir(package))
    if not (kept / archive).exists():
        with tempfile.TemporaryDirectory(dir=kept) as fresh:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", fresh]
            command += ["--retries", "1", "--timeout", "20", f"{package}=={version}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"pip cannot get {package} {version}: {done.stderr.strip()[-200:]}")
            os.replace(Path(fresh) / archive, kept / archive)
    return kept / archive
