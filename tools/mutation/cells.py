"""Which tests belong to the cells, to what joins them, and to what builds them from files."""

from __future__ import annotations

from .modules import Tests

__all__ = ["CELL_MODULES"]


def readable(files: str, names: str = "") -> Tests:
    """Return the tests of some files, of some names, that do not run compiled cells.

    Compiled code is kept from the original, so that mutants of cells are not in it.
    """
    paths = " ".join(f"tests/{file}.py" for file in files.split())
    return Tests(f"{paths} -k 'not numba{f' and ({names})' if names else ''}'")


# no test of whole runs, or of the time that they take
LAYOUTS_ONLY = "not (spectrum or command or unusual or precision or assumed or page or longer)"

CELL_MODULES = {
    "cells/activations": readable(
        "cells/test_cells runs/test_saturated_gates cells/test_variants",
        "kinks or cut_its or saturation or other_nonlinearities or variants_of or test_gru"
        " or coupled or constructors or derivative",
    ),
    "cells/antisymmetric": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "antisymmetric or constructors or numbers",
    ),
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
    "cells/independent": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "independent or constructors or units_of or numbers",
    ),
    "cells/lipschitz": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "lipschitz or constructors or numbers",
    ),
    "cells/lstm": readable(
        "cells/test_cells cells/test_inverses networks/test_random networks/test_program",
        "(lstm or constructors or projected) and not variant",
    ),
    "cells/minimal_gated": readable(
        "cells/test_cells runs/test_saturated_gates cells/test_other_cells networks/test_program",
        "minimal or constructors",
    ),
    "cells/oscillators": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "cornn or oscillator or numbers",
    ),
    "cells/own_map": readable(
        "networks/test_program runs/test_two_trajectories runs/test_exact_spectra "
        "networks/test_closed_loop",
        "names or given or cat or map",
    ),
    "cells/plrnn": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "plrnn or dendritic or piecewise or constructors or numbers",
    ),
    "cells/rate": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "(rate or constructors or numbers) and not nearer",
    ),
    "cells/reservoir": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "(reservoir or constructors or numbers) and not large",
    ),
    "cells/sparse": readable(
        "cells/test_cells cells/test_other_cells cells/test_sparse networks/test_program",
        "(reservoir or sparse or fit) and not large",
    ),
    "cells/spiking": readable(
        "cells/test_cells cells/test_other_cells networks/test_closed_loop "
        "networks/test_random networks/test_program",
        "spik or constructors or numbers",
    ),
    "cells/state_space": readable(
        "cells/test_cells cells/test_other_cells networks/test_random networks/test_program",
        "space or constructors",
    ),
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
        "weights/test_load weights/frameworks/test_keras_layout "
        "weights/frameworks/test_onnx weights/frameworks/test_named "
        "weights/frameworks/test_keras_files",
        LAYOUTS_ONLY,
    ),
    "weights/frameworks/keras": Tests(
        "tests/weights/frameworks/test_keras_layout.py",
        "tests/weights/frameworks/test_keras_files.py -k 'not spectrum and not assumed'",
    ),
    "weights/frameworks/layer": readable(
        "weights/frameworks/test_keras_layout weights/test_load "
        "weights/frameworks/test_keras_files "
        "weights/frameworks/test_jax_and_tensorflow1",
        LAYOUTS_ONLY,
    ),
    "weights/frameworks/named": readable("weights/frameworks/test_named", LAYOUTS_ONLY),
    "networks/network": readable(
        "cells/test_cells networks/test_program cells/test_inverses", "not union"
    ),
    "networks/program": readable(
        "networks/test_program cells/test_inverses cells/test_cells", "not union"
    ),
}
