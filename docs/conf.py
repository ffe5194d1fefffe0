"""How Sphinx builds the site: `make docs` writes it to target/site.

Everything a page needs is in the site: it can be read from a disk without a network.
"""

import sys
from pathlib import Path

import fusesg

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "fusesg"
author = "The fusesg authors"
project_copyright = author
version = release = fusesg.__version__

extensions = [
    "myst_parser",
    "api",
    "command_line",
    "examples",
    "linked_names",
    "settings",
]
exclude_patterns = ["_*", "conf.py"]

# Pages are read on the repository host as well, so little is used that only this
# parser knows: colon fences and field lists are what the reference is made of.
myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 4

add_module_names = False
highlight_language = "text"
maximum_signature_line_length = 72
python_use_unqualified_type_names = True
smartquotes_action = "D"  # dashes only: quotes are as they are typed
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"fusesg {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_domain_indices = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {
        "color-brand-primary": "#0b5c8a",
        "color-brand-content": "#0b5c8a",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7cc4ec",
        "color-brand-content": "#7cc4ec",
    },
}
