"""Lyapunov spectra of recurrent networks, from exported weights."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cells import GRU, LSTM, GRUResetBefore, ProjectedLSTM, Vanilla
    from .cells.own_map import Map
    from .errors import WeightsError
    from .networks.closed_loop import ClosedLoop
    from .networks.jacobian import jacobian
    from .networks.network import Network
    from .networks.random import random_network
    from .orbits.fixed_points import fixed_points
    from .orbits.result import FixedPoints
    from .runs.example import load_example
    from .runs.gates import spectrum_of_gates
    from .runs.lyapunov import lyapunov_spectrum, spectrum_of_jacobians, spectrum_of_products
    from .runs.options import Compute, Keep, Method
    from .runs.two_trajectories import largest_exponent
    from .spectra.spectrum import Spectrum
    from .sweeps.critical_gain import critical_gain
    from .sweeps.result import Sweep
    from .sweeps.sweep import sweep
    from .sweeps.watch import watch
    from .tangent.exponent_bound import exponent_bound
    from .vectors.covariant import covariant_vectors
    from .vectors.result import CovariantVectors
    from .vectors.splitting import splitting_angles
    from .weights.load import load

__version__ = "0.1.0"

_HOMES = {
    "ClosedLoop": "networks.closed_loop",
    "Compute": "runs.options",
    "CovariantVectors": "vectors.result",
    "FixedPoints": "orbits.result",
    "GRU": "cells",
    "GRUResetBefore": "cells",
    "Keep": "runs.options",
    "LSTM": "cells",
    "Map": "cells.own_map",
    "Method": "runs.options",
    "ProjectedLSTM": "cells",
    "Vanilla": "cells",
    "WeightsError": "errors",
    "covariant_vectors": "vectors.covariant",
    "critical_gain": "sweeps.critical_gain",
    "exponent_bound": "tangent.exponent_bound",
    "fixed_points": "orbits.fixed_points",
    "jacobian": "networks.jacobian",
    "largest_exponent": "runs.two_trajectories",
    "load": "weights.load",
    "load_example": "runs.example",
    "lyapunov_spectrum": "runs.lyapunov",
    "spectrum_of_gates": "runs.gates",
    "spectrum_of_jacobians": "runs.lyapunov",
    "spectrum_of_products": "runs.lyapunov",
    "Network": "networks.network",
    "random_network": "networks.random",
    "Spectrum": "spectra.spectrum",
    "splitting_angles": "vectors.splitting",
    "Sweep": "sweeps.result",
    "sweep": "sweeps.sweep",
    "watch": "sweeps.watch",
}

__all__ = [
    "GRU",
    "LSTM",
    "ClosedLoop",
    "Compute",
    "CovariantVectors",
    "FixedPoints",
    "GRUResetBefore",
    "Keep",
    "Map",
    "Method",
    "Network",
    "ProjectedLSTM",
    "Spectrum",
    "Sweep",
    "Vanilla",
    "WeightsError",
    "covariant_vectors",
    "critical_gain",
    "exponent_bound",
    "fixed_points",
    "jacobian",
    "largest_exponent",
    "load",
    "load_example",
    "lyapunov_spectrum",
    "random_network",
    "spectrum_of_gates",
    "spectrum_of_jacobians",
    "spectrum_of_products",
    "splitting_angles",
    "sweep",
    "watch",
]


# modules that docs/api.md has names of
_MODULES = {
    "cells": "cells",
    "errors": "errors",
    "measures": "spectra.measures",
    "plots": "spectra.plots",
    "status": "spectra.status",
    "sweeps": "sweeps",
    "uncertainty": "spectra.uncertainty",
}


def __getattr__(name: str) -> Any:
    # names are imported when first used, so that `import lyapy` and `lyapy --help` are quick
    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    if name not in _HOMES:
        message = f"module 'lyapy' has no attribute {name!r}"
        # Python adds names that are near
        raise AttributeError(message, name=name, obj=sys.modules[__name__])
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])
