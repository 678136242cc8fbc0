"""Configuration of the documents' build, in English and in Chinese; see ``nox -s docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for tests.support, which knows the texts
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from yunxin_soap import __version__

project = "yunxin_soap"
author = "the yunxin_soap authors"
copyright = f"{author}, MIT licence"  # noqa: A001 - the name that Sphinx reads
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "generated",
    "checks",
    "translations",
]
exclude_patterns = ["_*", "locale", "recipes"]
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4

# Options such as --key, and quotes in error texts, stay as they are.
smartquotes = False

# Docstrings write `Client` for a name, and ``client`` for text.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
# Two modules have an Outcome; an annotation that does not say whose is shown without a link.
suppress_warnings = ["ref.python"]
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False

# The vendor's sample in PHP is shown without its opening tag.
highlight_options = {"php": {"startinline": True}}

language = "en"
locale_dirs = ["locale"]
gettext_compact = False
gettext_uuid = False
# Line numbers would change with every edit of a page.
gettext_location = False

# Chinese is searched without the dictionary that Sphinx would load; see translations.py.
html_search_options = {"dict": ""}

html_theme = "furo"
html_title = f"yunxin_soap {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_copy_source = False
html_domain_indices = False
html_show_sphinx = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
# The pages are read without a network: no fonts, icons or scripts from elsewhere.
html_theme_options: dict[str, object] = {"footer_icons": []}
