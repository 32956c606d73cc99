import sys
from importlib.util import find_spec
from pathlib import Path

from lyapy import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "lyapy"
author = "The lyapy developers"
copyright = "The lyapy developers, BSD-3-Clause"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "myst_parser",
    "mathml",
]
exclude_patterns = ["_build", "**/GALLERY_HEADER.rst", "tutorials/*.py.md5"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

autosummary_generate = True
# not to differ from the function's page by a capital only, which some disks cannot hold
autosummary_filename_map = {
    "lyapy.Sweep": "lyapy.Sweep-class",
    "lyapy.spectra.uncertainty.Uncertainty": "lyapy.spectra.uncertainty.Uncertainty-class",
}
autodoc_typehints = "none"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": ["../examples/tutorials", "../examples/gallery"],
    "gallery_dirs": ["tutorials", "gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "copyfile_regex": "",
    "ignore_repr_types": r"matplotlib\.",
    "image_srcset": ["2x"],
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "lyapy"
html_math_renderer = "mathml"
# the fonts of ziamath, for formulas
html_static_path = ["static", str(Path(find_spec("ziamath").origin).parent / "fonts")]
html_css_files = ["lyapy.css"]
html_sidebars = {"index": []}
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_nav_level": 2,
}


def setup(app):
    # |x| in a docstring is an absolute value, never a substitution
    def escape_bars(app, what, name, obj, options, lines):
        lines[:] = [line.replace("|", r"\|") for line in lines]

    app.connect("autodoc-process-docstring", escape_bars)
