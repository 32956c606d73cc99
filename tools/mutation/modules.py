"""Which tests belong to which module."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MODULES", "Tests"]


class Tests(NamedTuple):
    """The tests of one module, as arguments of pytest: the fastest that kill first.

    Attributes
    ----------
    first : str
        Tried on every mutant.
    wider : str
        Tried on those that survive.
    fresh : bool
        Whether compiled code inlines the module, so that every mutant is compiled.
    """

    first: str
    wider: str = ""
    fresh: bool = False


READABLE = "-k 'not numba'"

# of whole runs, and of coverage
SLOW = "cover or unequal or driven or units or time_step or alarms"
MEASURES = "test_measures or kaplan or entropy or measures_of"

WHOLE_RUNS = "run_of_its_steps or interrupted or command_line"

NEARBY = "tests/runs/test_two_trajectories.py -k nearby"
SELF_CHECKS = f"tests/tangent/test_checks.py {READABLE}"
KERNELS = "tests/tangent/compiled/test_kernels.py"
AGREE = "tests/tangent/test_engines.py -k 'not numpy and (both_sides or every_size)'"
ROUTES = "tests/tangent/test_engines.py -k 'numba and (keeps or routes or overshoot or every_step)'"

MODULES = {
    "tangent/reference": Tests("tests/tangent/test_reference.py"),
    "tangent/state": Tests("tests/tangent/test_state.py"),
    "tangent/compiled/step": Tests(AGREE, ROUTES, fresh=True),
    "tangent/compiled/products": Tests(
        f"{KERNELS} -k 'product or neighbours or taken'", AGREE, True
    ),
    "tangent/compiled/qr": Tests(f"{KERNELS} -k 'orthonormalization or block'", AGREE, True),
    "tangent/compiled/reflections": Tests(
        "tests/tangent/graded/test_householder.py",
        "tests/tangent/graded/test_graded_qr.py",
        fresh=True,
    ),
    "tangent/compiled/loop": Tests(AGREE, ROUTES, fresh=True),
    "tangent/compiled/tilting": Tests("tests/tangent/graded/test_tilt.py", fresh=True),
    "tangent/engine": Tests("tests/tangent/test_engine.py"),
    "tangent/two_ended": Tests(
        "tests/tangent/test_two_ended.py", "tests/tangent/test_checks.py -k sound"
    ),
    "tangent/graded/step": Tests("tests/tangent/graded/test_step.py"),
    "tangent/graded/householder": Tests("tests/tangent/graded/test_householder.py"),
    "tangent/lowering": Tests("tests/tangent/test_lowering.py -k 'lstm or gru or share'"),
    "tangent/interval": Tests(f"tests/tangent/test_interval.py {READABLE}"),
    "networks/apply": Tests(
        "tests/tangent/test_reference.py tests/networks/test_program.py"
        " -k 'not union and not numba'",
        "tests/tangent/test_engines.py -k 'numpy and (factors or size)'",
    ),
    "tangent/graded/tilt": Tests("tests/tangent/graded/test_tilt.py"),
    "spectra/measures": Tests(
        f"tests/spectra/test_measures.py tests/runs/test_properties.py -k '{MEASURES}'"
    ),
    "runs/two_trajectories": Tests(
        "tests/runs/test_two_trajectories.py -k 'row_by or set_back or shares_no or refused'",
        NEARBY,
    ),
    "tangent/norm_bounds": Tests("tests/tangent/test_norm_bounds.py", SELF_CHECKS),
    "tangent/overflow": Tests("tests/tangent/test_norm_bounds.py -k overflow"),
    "spectra/status": Tests(f"tests/spectra/test_status.py -k 'not ({SLOW})'", SELF_CHECKS),
    "spectra/uncertainty": Tests(
        f"tests/spectra/test_uncertainty.py -k 'not ({SLOW})'", "tests/spectra/test_uncertainty.py"
    ),
    "runs/computation": Tests(
        f"tests/runs/test_until.py -k 'not ({WHOLE_RUNS})'",
        "tests/runs/test_until.py -k 'options0-5 or _before'",
    ),
}
