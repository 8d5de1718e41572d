"""How Sphinx builds the site from these pages and the docstrings; `scripts/docs` runs it."""

from importlib.metadata import version as installed_version

project = "spikenas"
author = "spikenas maintainers"
version = release = installed_version("spikenas")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"spikenas {release}"
html_show_copyright = False
html_copy_source = False

suppress_warnings = ["myst.xref_missing"]  # links to files beside docs/; tests/test_docs.py looks
myst_heading_anchors = 3  # pages link to headings by GitHub's names for them
default_role = "py:obj"  # `name` in a docstring
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
