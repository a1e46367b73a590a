"""The site: `scripts/docs` builds it from these pages, the tutorials and the docstrings."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import vaeseq  # noqa: E402

project = "vaeseq"
author = "the authors of vaeseq"
copyright = "the authors of vaeseq, Apache-2.0"
version = release = vaeseq.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",
    "gallery",
    "reference",
]
exclude_patterns = ["_*", "conf.py"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [("py:(class|exc)", ".*")]  # types without a page have no link

html_theme = "furo"
html_title = f"vaeseq {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 4  # the anchors of GitHub
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"  # no script, so no request
suppress_warnings = ["myst.header"]  # pages that begin with an included file

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
default_role = "code"
napoleon_use_rtype = False
napoleon_use_ivar = True

# The tutorials are Python files; the outputs in the site are those of running them here.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # the logs of TensorFlow
