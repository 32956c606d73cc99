"""Lyapunov spectra of recurrent networks, from exported weights."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cells import GRU as GRU
    from .cells import LSTM as LSTM
    from .cells import GRUResetBefore as GRUResetBefore
    from .cells import ProjectedLSTM as ProjectedLSTM
    from .cells import Vanilla as Vanilla
    from .cells.own_map import Map as Map
    from .errors import WeightsError as WeightsError
    from .networks.closed_loop import ClosedLoop as ClosedLoop
    from .networks.jacobian import jacobian as jacobian
    from .networks.network import Network as Network
    from .networks.random import random_network as random_network
    from .orbits.fixed_points import fixed_points as fixed_points
    from .orbits.result import FixedPoints as FixedPoints
    from .runs.example import load_example as load_example
    from .runs.gates import spectrum_of_gates as spectrum_of_gates
    from .runs.lyapunov import lyapunov_spectrum as lyapunov_spectrum
    from .runs.lyapunov import spectrum_of_jacobians as spectrum_of_jacobians
    from .runs.lyapunov import spectrum_of_products as spectrum_of_products
    from .runs.options import Compute as Compute
    from .runs.options import Keep as Keep
    from .runs.options import Method as Method
    from .runs.two_trajectories import largest_exponent as largest_exponent
    from .spectra.spectrum import Spectrum as Spectrum
    from .sweeps.critical_gain import critical_gain as critical_gain
    from .sweeps.result import Sweep as Sweep
    from .sweeps.sweep import sweep as sweep
    from .sweeps.watch import watch as watch
    from .tangent.exponent_bound import exponent_bound as exponent_bound
    from .vectors.covariant import covariant_vectors as covariant_vectors
    from .vectors.result import CovariantVectors as CovariantVectors
    from .vectors.splitting import splitting_angles as splitting_angles
    from .weights.load import load as load

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

__all__ = [*_HOMES]


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
