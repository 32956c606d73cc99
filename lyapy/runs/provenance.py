"""The origin of a result: network, versions, machine."""

import datetime
import platform
import shlex
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..networks.network import Network

PACKAGES = ("lyapy", "numpy", "scipy", "numba", "h5py")


def describe_origin(network: Network) -> dict[str, Any]:
    """Return the settings that describe the network, the program and the machine."""
    return {
        "network": repr(network),
        "network_origin": network.origin,
        "network_sha256": network.digest(),
        "assumptions": list(network.assumptions),
        "versions": installed_versions() | {"python": platform.python_version()},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "command": shlex.join(sys.argv),
        "date": now(),
    }


def now() -> str:
    """Return the date and time in UTC, as files state it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    return {name: _version(name) for name in PACKAGES}


@cache
def processor() -> str:
    """Return the processor's name."""
    # the compiled engine and BLAS choose their instructions by it
    from llvmlite.binding import get_host_cpu_name

    return str(get_host_cpu_name())


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
