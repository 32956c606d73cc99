"""Where a result comes from: network, versions, machine; and what a machine offers."""

from __future__ import annotations

import datetime
import platform
import shlex
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..networks.network import Network
from ..tangent.gpu.device import describe_devices
from .threads import default_threads

__all__ = ["describe_origin", "describe_system", "now"]

PACKAGES = ("lyapy", "numpy", "scipy", "numba", "h5py")


def describe_origin(network: Network) -> dict[str, Any]:
    """Return the settings that describe the network, the program and the machine."""
    return {
        "network": repr(network),
        "network_origin": network.origin,
        "network_sha256": network.digest(),
        "assumptions": list(network.assumptions),
        "versions": _versions() | {"python": platform.python_version()},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "command": shlex.join(sys.argv),
        "date": now(),
    }


def describe_system() -> dict[str, str]:
    """Return what `lyapy info --system` prints, by name."""
    return {
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": ", ".join(f"{name} {found}" for name, found in _versions().items()),
        "CPU": f"{_processor()}, {default_threads()} trajectories at the same time",
        "GPU": describe_devices(),
    }


def now() -> str:
    """Return the date and time in UTC, as files state it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    return {name: _version(name) for name in PACKAGES}


@cache
def _processor() -> str:
    # the compiled engine and BLAS choose their instructions by it
    from llvmlite.binding import get_host_cpu_name

    return str(get_host_cpu_name())


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
