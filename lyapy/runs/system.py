"""What a machine has for lyapy to compute with: versions, CPUs, a GPU."""

from __future__ import annotations

import platform

from ..tangent.gpu.device import describe_devices
from .provenance import installed_versions, processor
from .threads import default_threads

__all__ = ["describe_system"]


def describe_system() -> dict[str, str]:
    """Return what `lyapy info --system` prints, by name."""
    versions = ", ".join(f"{name} {found}" for name, found in installed_versions().items())
    return {
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": versions,
        "CPU": f"{processor()}, {default_threads()} trajectories at a time",
        "GPU": describe_devices(),
    }
