"""Which tests belong to which module."""

from typing import NamedTuple


class Tests(NamedTuple):
    """Arguments of pytest, the fastest that kill first; the wider are for survivors."""

    first: str
    wider: str = ""
    # compiled code inlines the module, so that every mutant is compiled
    fresh: bool = False


def readable(files: str, names: str = "") -> Tests:
    """Return tests that run no compiled cells, whose code is kept from the original."""
    paths = " ".join(f"tests/{file}.py" for file in files.split())
    return Tests(f"{paths} -k 'not numba{f' and ({names})' if names else ''}'")


# of whole runs, and of coverage
SLOW = "cover or unequal or driven or units or time_step or alarms"
WHOLE_RUNS = "run_of_its_steps or interrupted or command_line"
# no test of whole runs, or of the time that they take
LAYOUTS_ONLY = "not (spectrum or command or unusual or precision or assumed or page or longer)"

SELF_CHECKS = "tests/tangent/test_checks.py -k 'not numba'"
KERNELS = "tests/tangent/compiled/test_kernels.py"
AGREE = "tests/tangent/test_engines.py -k 'not numpy and (both_sides or every_size)'"
ROUTES = "tests/tangent/test_engines.py -k 'numba and (keeps or routes or overshoot or every_step)'"
GRADED = "tests/tangent/graded"
BOUNDS = "tests/tangent/test_norm_bounds.py"
STRUCTURE = "tests/networks/test_structure.py tests/runs/test_dead_directions.py -k 'not numba'"
BLOCKS = (
    "tests/networks/test_blocks.py tests/networks/test_program.py tests/cells/test_inverses.py"
    " -k 'not union and not numba'"
)

# units that do not read one another, and maps known by products
DECOUPLED = (
    "tests/runs/test_products.py tests/cells/test_other_cells.py tests/networks/test_structure.py"
    " tests/runs/test_dead_directions.py -k 'not numba and (growth_beyond or interval_follows or"
    " state_space or independent_network or dead_units or chain or underflow)'"
)
CELL = "cells/test_cells cells/test_other_cells networks/test_random networks/test_program"
PROGRAMS = "networks/test_program cells/test_inverses cells/test_cells"
FRAMEWORKS = "weights/test_load weights/frameworks/test_keras_layout"
KERAS_FILES = "weights/frameworks/test_keras_files"

MODULES = {
    "tangent/reference": Tests("tests/tangent/test_reference.py", DECOUPLED),
    "tangent/state": Tests(
        "tests/tangent/test_state.py",
        "tests/tangent/test_reference.py tests/spectra/test_status.py -k 'graded or saturates'",
    ),
    "tangent/compiled/step": Tests(AGREE, ROUTES, fresh=True),
    "tangent/compiled/products": Tests(
        f"{KERNELS} -k 'product or neighbours or taken'", AGREE, True
    ),
    "tangent/compiled/qr": Tests(f"{KERNELS} -k 'orthonormalization or block'", AGREE, True),
    "tangent/compiled/loop": Tests(AGREE, ROUTES, fresh=True),
    "tangent/compiled/graded": Tests(f"{GRADED}/test_run.py", fresh=True),
    "tangent/compiled/shared_products": Tests("tests/runs/test_together.py", fresh=True),
    "tangent/engine": Tests(
        "tests/tangent/test_engine.py",
        "tests/runs/test_products.py tests/tangent/compiled/test_kernels.py"
        " tests/tangent/gpu/test_engine.py"
        " -k 'every_backend or (blas and lstm) or (cards_cannot_do and panels)'",
    ),
    "tangent/two_ended": Tests(
        "tests/tangent/test_two_ended.py", "tests/tangent/test_checks.py -k sound"
    ),
    "tangent/graded/elimination": Tests(f"{GRADED}/test_elimination.py"),
    "tangent/graded/replicas": Tests(f"{GRADED}/test_replicas.py"),
    "tangent/graded/run": Tests(f"{GRADED}/test_run.py"),
    "tangent/lowering": Tests("tests/tangent/test_lowering.py -k 'lstm or gru or share'"),
    "tangent/interval": readable("tangent/test_interval tangent/test_state"),
    "networks/apply": Tests(
        "tests/tangent/test_reference.py tests/networks/test_program.py"
        " -k 'not union and not numba'",
        "tests/tangent/test_engines.py -k 'numpy and (factors or size)'",
    ),
    "spectra/measures": Tests(
        "tests/spectra/test_measures.py tests/runs/test_properties.py"
        " -k 'test_measures or kaplan or entropy or measures_of'"
    ),
    "runs/two_trajectories": Tests(
        "tests/runs/test_two_trajectories.py -k 'row_by or set_back or shares_no or refused'",
        "tests/runs/test_two_trajectories.py -k nearby",
    ),
    "tangent/norm_bounds": Tests(BOUNDS, SELF_CHECKS),
    "tangent/overflow": Tests(f"{BOUNDS} -k overflow"),
    "spectra/rounding": Tests("tests/runs/test_rounding.py"),
    "spectra/stationarity": Tests(
        "tests/spectra/test_stationarity.py", f"tests/spectra/test_status.py -k 'not ({SLOW})'"
    ),
    "spectra/status": Tests(f"tests/spectra/test_status.py -k 'not ({SLOW})'", SELF_CHECKS),
    "spectra/uncertainty": Tests(
        f"tests/spectra/test_uncertainty.py -k 'not ({SLOW})'", "tests/spectra/test_uncertainty.py"
    ),
    "runs/computation": Tests(
        f"tests/runs/test_until.py -k 'not ({WHOLE_RUNS})'",
        "tests/runs/test_until.py -k 'options0-5 or _before'",
    ),
    "orbits/certificate": Tests("tests/orbits"),
    "orbits/newton": Tests("tests/orbits"),
    "storage/hdf5": Tests("tests/storage/test_hdf5.py", "tests/weights/formats/test_hdf5.py"),
    "storage/hdf5_arrays": Tests("tests/storage/test_hdf5.py"),
    "cells/activations": readable(
        "cells/test_cells runs/test_saturated_gates cells/test_variants",
        "kinks or cut_its or saturation or smooth or variants_of or test_gru"
        " or coupled or constructors or derivative",
    ),
    "cells/antisymmetric": readable(CELL, "antisymmetric or constructors or numbers"),
    "cells/base": readable(
        "cells/test_cells weights/frameworks/test_named cells/test_inverses",
        "logarithm or determinant or constructors or cut or copied or tolerance or round or fit"
        " or relu or jacobian_is or side_by_side or dead or surrogate",
    ),
    "cells/random_weights": readable("networks/test_random cells/test_cells"),
    "cells/gru": readable(
        "cells/test_cells runs/test_saturated_gates networks/test_program",
        "(gru or reset or constr) and not variant",
    ),
    "cells/independent": readable(CELL, "independent or constructors or units_of or numbers"),
    "cells/lipschitz": readable(CELL, "lipschitz or constructors or numbers"),
    "cells/lstm": readable(
        "cells/test_cells cells/test_inverses networks/test_random networks/test_program",
        "(lstm or constructors or projected) and not variant",
    ),
    "cells/minimal_gated": readable(
        "cells/test_cells runs/test_saturated_gates cells/test_other_cells networks/test_program",
        "minimal or constructors",
    ),
    "cells/oscillators": readable(CELL, "cornn or oscillator or numbers"),
    "cells/own_map": readable(
        "networks/test_program runs/test_two_trajectories runs/test_exact_spectra "
        "networks/test_closed_loop",
        "names or given or cat or map",
    ),
    "cells/plrnn": readable(CELL, "plrnn or dendritic or piecewise or constructors or numbers"),
    "cells/rate": readable(CELL, "(rate or constructors or numbers) and not nearer"),
    "cells/reservoir": readable(CELL, "(reservoir or constructors or numbers) and not large"),
    "cells/sparse": readable(
        "cells/test_cells cells/test_other_cells cells/test_sparse networks/test_program",
        "(reservoir or sparse or fit) and not large",
    ),
    "cells/spiking": readable(
        f"{CELL} networks/test_closed_loop", "spik or constructors or numbers"
    ),
    "cells/state_space": readable(CELL, "space or constructors"),
    "cells/vanilla": readable(
        "cells/test_cells cells/test_inverses networks/test_program",
        "not lstm and not gru and not state and not rate",
    ),
    "cells/variants": readable(
        "cells/test_variants cells/test_inverses runs/test_saturated_gates cells/test_cells",
        "(variant or derivative or coupled or peepholes or clip or closed_hard or defaults)"
        " and not engines and not sigmoid-relu and not sigmoid-hard",
    ),
    "networks/closed_loop": readable("networks/test_closed_loop", "not flow and not switch"),
    "weights/frameworks/cell": readable(
        f"{FRAMEWORKS} weights/frameworks/test_onnx weights/frameworks/test_named {KERAS_FILES}",
        LAYOUTS_ONLY,
    ),
    "weights/frameworks/keras": Tests(
        "tests/weights/frameworks/test_keras_layout.py",
        f"tests/{KERAS_FILES}.py -k 'not spectrum and not assumed'",
    ),
    "weights/frameworks/layer": readable(
        f"{FRAMEWORKS} {KERAS_FILES} weights/frameworks/test_jax_and_tensorflow1", LAYOUTS_ONLY
    ),
    "weights/frameworks/named": readable("weights/frameworks/test_named", LAYOUTS_ONLY),
    "networks/blocks": Tests(BLOCKS, STRUCTURE),
    "networks/network": readable(PROGRAMS, "not union"),
    "networks/program": readable(PROGRAMS, "not union"),
    "networks/structure": Tests(BLOCKS, STRUCTURE),
}
