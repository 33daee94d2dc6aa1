"""Sphinx configuration: MyST pages, every code cell executed, warnings are errors."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]
os.environ["MPLBACKEND"] = "agg"

import rnnmft  # noqa: E402 (the path above comes first)

project = "rnnmft"
author = "rnnmft authors"
project_copyright = "rnnmft authors"
version = release = rnnmft.__version__

extensions = [
    "code_cell",
    "derivation_pages",
    "docstrings",
    "mathml",
    "myst_parser",
    "notebooks",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "_extensions"]

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
default_role = "literal"  # in a docstring `x` is code
smartquotes_action = "De"  # the prime of h' is no quotation mark
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "rnnmft"
html_static_path = ["_static", "../rnnmft/page/fonts"]
html_css_files = ["rnnmft.css"]
html_copy_source = False
html_show_sourcelink = False
