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
        Whether compiled code inlines the module, so that every mutant is compiled anew.
    """

    first: str
    wider: str = ""
    fresh: bool = False


READABLE = "-k 'not numba'"

# of whole runs, and of coverage
SLOW = "cover or unequal or driven or units or time_step or alarms"
MEASURES = "test_measures or kaplan or entropy or measures_of"

WHOLE_RUNS = "run_of_its_steps or interrupted or command_line"

NEARBY = "tests/test_maps_and_nearby.py -k nearby"
SELF_CHECKS = f"tests/test_self_checks.py {READABLE}"
KERNELS = "tests/test_kernels.py"
AGREE = "tests/test_engines.py -k 'not numpy and (both_sides or every_size)'"
ROUTES = "tests/test_engines.py -k 'numba and (keeps or routes or overshoot or every_step)'"

MODULES = {
    "engines/array": Tests("tests/test_array.py"),
    "engines/carry": Tests("tests/test_carry.py"),
    "engines/compiled/merging": Tests(AGREE, ROUTES, fresh=True),
    "engines/compiled/products": Tests(
        f"{KERNELS} -k 'product or neighbours or taken'", AGREE, True
    ),
    "engines/compiled/qr": Tests(f"{KERNELS} -k 'orthonormalization or block'", AGREE, True),
    "engines/compiled/reflections": Tests(
        "tests/test_householder.py", "tests/test_graded_qr.py", fresh=True
    ),
    "engines/compiled/tangent": Tests(AGREE, ROUTES, fresh=True),
    "engines/compiled/tilting": Tests("tests/test_tilt.py", fresh=True),
    "engines/decoupled": Tests("tests/test_array.py -k units"),
    "engines/factors": Tests("tests/test_array.py -k factors"),
    "engines/fitting": Tests("tests/test_fitting.py"),
    "engines/full": Tests("tests/test_full.py", "tests/test_self_checks.py -k sound"),
    "engines/graded": Tests("tests/test_graded.py"),
    "engines/householder": Tests("tests/test_householder.py"),
    "engines/interval": Tests(f"tests/test_interval.py {READABLE}"),
    "engines/split": Tests("tests/test_split.py tests/test_interval.py -k 'cut or cheaper'"),
    "engines/tangent_step": Tests(
        "tests/test_array.py tests/test_program.py -k 'not union and not numba'",
        "tests/test_engines.py -k 'numpy and (factors or size)'",
    ),
    "engines/tilt": Tests("tests/test_tilt.py"),
    "measures": Tests(f"tests/test_measures.py tests/test_properties.py -k '{MEASURES}'"),
    "nearby": Tests(
        "tests/test_maps_and_nearby.py -k 'row_by or set_back or shares_no or refused'", NEARBY
    ),
    "self_checks": Tests("tests/test_norm_bounds.py", SELF_CHECKS),
    "status": Tests(f"tests/test_status.py -k 'not ({SLOW})'", SELF_CHECKS),
    "uncertainty": Tests(
        f"tests/test_uncertainty.py -k 'not ({SLOW})'", "tests/test_uncertainty.py"
    ),
    "until": Tests(
        f"tests/test_until.py -k 'not ({WHOLE_RUNS})'",
        "tests/test_until.py -k 'options0-5 or _before'",
    ),
}
