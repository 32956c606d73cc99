"""Which tests belong to the cells, to what joins them, and to what builds them from files."""

from __future__ import annotations

from .modules import Tests

__all__ = ["CELL_MODULES"]


def readable(files: str, names: str = "") -> Tests:
    """Return the tests of some files, of some names, that do not run compiled cells.

    Compiled code is kept from the original, so that mutants of cells are not in it.
    """
    paths = " ".join(f"tests/test_{file}.py" for file in files.split())
    return Tests(f"{paths} -k 'not numba{f' and ({names})' if names else ''}'")


# no test of whole runs, or of the time that they take
LAYOUTS_ONLY = "not (spectrum or command or unusual or precision or assumed or page or longer)"

CELL_MODULES = {
    "cells/activations": readable(
        "cells saturated_gates variants",
        "kinks or cut_its or saturation or other_nonlinearities or variants_of or test_gru"
        " or coupled or constructors or derivative",
    ),
    "cells/antisymmetric": readable(
        "cells other_cells random_networks program", "antisymmetric or constructors or numbers"
    ),
    "cells/base": readable(
        "cells named_files inverses",
        "logarithm or determinant or constructors or cut or copied or given_up or round or fit"
        " or relu or jacobian_is or side_by_side or dead or apart",
    ),
    "cells/drawing": readable("random_networks cells"),
    "cells/gru": readable(
        "cells saturated_gates program", "(gru or reset or constr) and not variant"
    ),
    "cells/independent": readable(
        "cells other_cells random_networks program",
        "independent or constructors or units_of or numbers",
    ),
    "cells/jacobian": readable("program maps_and_nearby exact_spectra", "names or given or cat"),
    "cells/lipschitz": readable(
        "cells other_cells random_networks program", "lipschitz or constructors or numbers"
    ),
    "cells/lstm": readable(
        "cells inverses random_networks program",
        "(lstm or constructors or projected) and not variant",
    ),
    "cells/minimal_gated": readable(
        "cells saturated_gates other_cells program", "minimal or constructors"
    ),
    "cells/oscillators": readable(
        "cells other_cells random_networks program", "cornn or oscillator or numbers"
    ),
    "cells/own_map": readable("maps_and_nearby closed_loop", "map or given"),
    "cells/plrnn": readable(
        "cells other_cells random_networks program",
        "plrnn or dendritic or piecewise or constructors or numbers",
    ),
    "cells/rate": readable(
        "cells other_cells random_networks program",
        "(rate or constructors or numbers) and not nearer",
    ),
    "cells/reservoir": readable(
        "cells other_cells random_networks program",
        "(reservoir or constructors or numbers) and not large",
    ),
    "cells/sparse": readable(
        "cells other_cells sparse_weights program", "(reservoir or sparse or fit) and not large"
    ),
    "cells/spiking": readable(
        "cells other_cells closed_loop random_networks program", "spik or constructors or numbers"
    ),
    "cells/state_space": readable(
        "cells other_cells random_networks program", "space or constructors"
    ),
    "cells/vanilla": readable(
        "cells inverses program", "not lstm and not gru and not state and not rate"
    ),
    "cells/variants": readable(
        "variants inverses saturated_gates cells",
        "(variant or jacobian_is or coupled or peepholes or clip or closed_hard or left_out)"
        " and not engines and not sigmoid-relu and not sigmoid-hard",
    ),
    "closed_loop": readable("closed_loop", "not flow and not switch"),
    "layouts/building": readable(
        "loading keras_layout onnx_files named_files keras_files", LAYOUTS_ONLY
    ),
    "layouts/keras": Tests(
        "tests/weights/frameworks/test_keras_layout.py",
        "tests/weights/frameworks/test_keras_files.py -k 'not spectrum and not assumed'",
    ),
    "layouts/layer": readable(
        "keras_layout loading keras_files jax_and_tensorflow1_files", LAYOUTS_ONLY
    ),
    "layouts/named": readable("named_files", LAYOUTS_ONLY),
    "network": readable("cells program inverses", "not union"),
    "program": readable("program inverses cells", "not union"),
}
