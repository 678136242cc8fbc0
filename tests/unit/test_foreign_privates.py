"""The package uses no private name of the libraries that it sends with."""

from __future__ import annotations

import ast
import asyncio
import http.client
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest

import yunxin_soap

LIBRARIES = ("aiohttp", "asyncio", "http.client", "requests", "urllib3")
DOCUMENTED = {
    "_asdict": "named tuples",
    "_make": "named tuples",
    "_replace": "named tuples",
    "_mapping": "rows of SQLAlchemy",
    "_meta": "models of Django",
    "_state": "rows of Django's models",
    "_value_": "members of an Enum",
    "_Element": "lxml's name of an element, in annotations",
    "_Hash": "typeshed's name of a hash, in annotations",
}
"""Names with an underscore that their library documents."""
OWN = {
    ("campaign/async_ledger.py", "ledger._run"),
    ("campaign/async_ledger.py", "ledger._work_slice"),
    ("campaign/async_ledger.py", "ledger._worker"),
    ("campaign/ledger.py", "ledger._check_options"),
    ("campaign/running/once.py", "client._check_open"),
    ("campaign/running/senders.py", "client._transport"),
    ("client.py", "client._set_up"),
    ("client.py", "hasattr(self, '_settings')"),
}
"""Where the package uses a private name of its own from outside of the object, by file."""
WITHOUT_ANOTHER_WAY = {
    # A workbook that is read takes no new sheet otherwise, and an empty chart's needs its place.
    ("campaign/lists/excel.py", "book._sheets"),
    # Django documents no sign of a test that a server cannot have, too.
    ("django/testing.py", "utils._TestState"),
}
"""Where the package uses a private name of a library, which a test of that place watches."""
TAKE_NAMES = ("getattr", "setattr", "hasattr", "delattr", "attrgetter", "operator.attrgetter")

ROOT = Path(yunxin_soap.__file__).parent


def is_private(name: object) -> bool:
    """Return whether a name begins with one underscore, and no library documents it."""
    return (
        isinstance(name, str)
        and re.fullmatch(r"_[A-Za-z]\w*", name) is not None
        and name not in DOCUMENTED
    )


def private_uses(source: str) -> Iterator[str]:
    """Return each use of a private name of another object, or of another package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            # What a class inherits from a library, `inherited_uses` finds.
            is_own = ast.unparse(node.value) in ("self", "cls", "super()")
            names: list[object] = [] if is_own else [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in TAKE_NAMES:
            names = [each.value for each in node.args if isinstance(each, ast.Constant)]
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            names = [node.slice.value]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = imported_names(node)
        else:
            continue
        if any(is_private(name) for name in names):
            yield ast.unparse(node)


def imported_names(node: ast.Import | ast.ImportFrom) -> list[object]:
    """Return the names of an import; none if the package imports its own."""
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    if module.startswith("yunxin_soap") or (isinstance(node, ast.ImportFrom) and node.level):
        return []
    paths = [module, *(alias.name for alias in node.names)]
    return [part for path in paths for part in path.split(".")]


def inherited_uses(cls: type) -> set[str]:
    """Return the private names that a class uses of a base class in one of the libraries."""
    foreign = [base for base in cls.__mro__ if is_of_library(base)]
    if not foreign:
        return set()
    theirs = {name for base in foreign for name in private_names(inspect.getsource(base))}
    return private_names(textwrap.dedent(inspect.getsource(cls))) & theirs


def is_of_library(cls: type) -> bool:
    """Return whether one of the libraries defines a class."""
    return any(f"{cls.__module__}.".startswith(f"{library}.") for library in LIBRARIES)


def private_names(source: str) -> set[str]:
    """Return the private names of ``self`` and of the class in its source."""
    names: set[object] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
    return {str(name) for name in names if is_private(name)}


def files() -> list[str]:
    """Return the package's files by their path in it, without those that know another's inside."""
    paths = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
    # aiohttp's is known in the one, and zeep's in the other.
    return sorted(path for path in paths if not path.startswith(("sandbox/server/", "wire/")))


def modules() -> Iterator[ModuleType]:
    """Import the package's modules."""
    for found in pkgutil.walk_packages([str(ROOT)], "yunxin_soap."):
        # Django's modules need a project; none of their bases is in the libraries.
        without = "sandbox.server", "__main__", "django."
        if not found.name.startswith(tuple(f"yunxin_soap.{name}" for name in without)):
            yield importlib.import_module(found.name)


def test_package_uses_no_private_name_of_another_object() -> None:
    """No file uses a private name of another object, but for the few that are the package's."""
    uses = {(file, use) for file in files() for use in private_uses((ROOT / file).read_text())}
    assert uses == OWN | WITHOUT_ANOTHER_WAY


def test_package_inherits_no_private_name() -> None:
    """No class uses a private name that it inherits from one of the libraries."""
    classes = {
        value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__.startswith("yunxin_soap.")
    }
    assert {cls: uses for cls in classes if (uses := inherited_uses(cls))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "connector._factory = make",
        "self._connector._factory",
        "TCPConnector._factory",
        "asyncio._get_running_loop()",
        "response.raw._connection.sock",
        "getattr(connector, '_factory', None)",
        "setattr(connector, '_factory', make)",
        "vars(connector)['_factory']",
        "connector.__dict__['_factory']",
        "from urllib3._collections import HTTPHeaderDict",
        "from http.client import _UNKNOWN",
        "import requests._internal_utils",
    ],
)
def test_check_finds_each_kind_of_use(source: str) -> None:
    """The check finds a private name, however it is used."""
    assert list(private_uses(source))


@pytest.mark.parametrize(
    "source",
    [
        "self._factory = cls._make()",
        "super()._annotate(error)",
        "row._mapping['x']",
        "from yunxin_soap._version import __version__",
        "from ._version import __version__",
        "error.__cause__",
        "for _ in range(3): pass",
    ],
)
def test_check_allows_own_and_documented_names(source: str) -> None:
    """The check allows a class's own names, and those that a library documents."""
    assert not list(private_uses(source))


class _OnHttpClient(http.client.HTTPConnection):
    def connect(self) -> None:
        print(self._create_connection)  # type: ignore[attr-defined]  # noqa: T201 - never called


class _OnAiohttp(aiohttp.TCPConnector):
    def prepare(self) -> None:
        print(self._factory)  # noqa: T201 - never called


class _OnAsyncio(asyncio.Protocol):
    def connection_made(self, transport: object) -> None:
        self._transport = transport


def test_check_finds_inherited_uses() -> None:
    """The check finds a private name of a base class, and no name of the class's own."""
    assert inherited_uses(_OnHttpClient) == {"_create_connection"}
    assert inherited_uses(_OnAiohttp) == {"_factory"}
    assert inherited_uses(_OnAsyncio) == set()
