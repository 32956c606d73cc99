"""Lyapunov spectra of recurrent networks, from exported weights."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cells import GRU, LSTM, GRUResetBefore, ProjectedLSTM, Vanilla
    from .cells.own_map import Map
    from .closed_loop import ClosedLoop
    from .errors import WeightsError
    from .jacobians import jacobian
    from .loading import load
    from .lyapunov import lyapunov_spectrum, spectrum_of_jacobians
    from .nearby import largest_exponent
    from .network import Network
    from .random_networks import random_network
    from .spectrum import Spectrum
    from .sweeps.result import Sweep
    from .sweeps.sweeping import sweep
    from .sweeps.watching import watch

__version__ = "0.1.0"

_HOMES = {
    "ClosedLoop": "closed_loop",
    "GRU": "cells",
    "GRUResetBefore": "cells",
    "LSTM": "cells",
    "Map": "cells.own_map",
    "ProjectedLSTM": "cells",
    "Vanilla": "cells",
    "WeightsError": "errors",
    "jacobian": "jacobians",
    "largest_exponent": "nearby",
    "load": "loading",
    "lyapunov_spectrum": "lyapunov",
    "spectrum_of_jacobians": "lyapunov",
    "Network": "network",
    "random_network": "random_networks",
    "Spectrum": "spectrum",
    "Sweep": "sweeps.result",
    "sweep": "sweeps.sweeping",
    "watch": "sweeps.watching",
}

__all__ = [
    "GRU",
    "LSTM",
    "ClosedLoop",
    "GRUResetBefore",
    "Map",
    "Network",
    "ProjectedLSTM",
    "Spectrum",
    "Sweep",
    "Vanilla",
    "WeightsError",
    "jacobian",
    "largest_exponent",
    "load",
    "lyapunov_spectrum",
    "random_network",
    "spectrum_of_jacobians",
    "sweep",
    "watch",
]


# modules that docs/api.md has names of
_MODULES = ("cells", "errors", "measures", "plots", "status", "sweeps", "uncertainty")


def __getattr__(name: str) -> Any:
    # names are imported when first used, so that `import lyapy` and `lyapy --help` are quick
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        told = f"module 'lyapy' has no attribute {name!r}"
        # Python adds what comes near to the name
        raise AttributeError(told, name=name, obj=sys.modules[__name__])
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])
