"""Checks that fail the build: undocumented public names, and anything that needs a network."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.domains.python import PythonDomain
    from sphinx.environment import BuildEnvironment

_log = logging.getLogger(__name__)

PUBLIC_MODULES = (
    "yunxin_soap",
    "yunxin_soap.campaign",
    "yunxin_soap.celery",
    "yunxin_soap.django",
    "yunxin_soap.pytest_plugin",
    "yunxin_soap.sandbox",
    "yunxin_soap.telemetry",
    "yunxin_soap.wsdl",
)
"""The modules whose ``__all__`` is the public API."""

LINKED_HOSTS = frozenset({"docs.celeryq.dev", "opentelemetry.io", "procrastinate.readthedocs.io"})
"""Other sites that a page may link to. No build looks whether they are up."""

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["'](?:https?:)?//|"""
    r"""<link(?![^>]*rel=["']canonical)[^>]*\shref=["'](?:https?:)?//"""
)
_LOADED_BY_CSS = re.compile(r"""url\(["']?(?:https?:)?//|@import""")


def check_public_names(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each public name that no page of the reference documents."""
    domain: PythonDomain = env.domains.python_domain
    documented = set(domain.objects)
    for module in PUBLIC_MODULES:
        public = import_module(module)
        for name in set(public.__all__) - {"__version__"}:
            # An error that two modules export is documented under one of its names.
            home = getattr(getattr(public, name), "__module__", module)
            if documented.isdisjoint({f"{module}.{name}", f"{home}.{name}"}):
                _log.warning("%s.%s is public, and no page documents it", module, name)


def check_links(app: Sphinx, document: nodes.document) -> None:
    """Warn of a link to a site that is not listed, and of one that is malformed."""
    for reference in document.findall(nodes.reference):
        address = reference.get("refuri", "")
        parts = urlsplit(address)
        if not parts.scheme or parts.scheme == "mailto":
            continue
        if parts.scheme != "https" or parts.hostname not in LINKED_HOSTS:
            _log.warning("a link to a site that checks.py does not list: %s", address)


def check_offline(app: Sphinx, exception: Exception | None) -> None:
    """Fail if a page loads anything from another site."""
    if exception is not None or app.builder.format != "html":
        return
    for pattern, found in (("*.html", _LOADED), ("*.css", _LOADED_BY_CSS)):
        for file in sorted(Path(app.outdir).rglob(pattern)):
            if loaded := found.search(file.read_text("utf-8")):
                raise ExtensionError(f"{file} loads from another site: {loaded[0]}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the checks."""
    app.connect("env-check-consistency", check_public_names)
    app.connect("doctree-read", check_links)
    app.connect("build-finished", check_offline)
    return {"parallel_read_safe": True}
