"""What differs between databases is in `storage/dialects.py` alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import yunxin_soap
from yunxin_soap.campaign.storage import dialects

ROOT = Path(yunxin_soap.__file__).parent
ALONE = "campaign/storage/dialects.py"
NAMES = {
    name
    for each in dialects._DIALECTS.values()
    for name in (each.name, each.driver, *each.schemes, f"{each.name}+{each.driver}")
}
"""The names of databases and drivers."""


def uses(source: str) -> Iterator[str]:
    """Return each name of a database in the code, or each comparison with the name of a dialect."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in NAMES - {"sqlite3"}:
            yield ast.unparse(node)
        elif isinstance(node, ast.Compare):
            text = ast.unparse(node)
            if "dialect.name" in text or "get_backend_name" in text:
                yield text


def test_only_dialects_knows_the_kinds_of_databases() -> None:
    """No other module has the name of a database, so none can compare one."""
    found = {
        file: list(uses(path.read_text()))
        for path in ROOT.rglob("*.py")
        if (file := path.relative_to(ROOT).as_posix()) != ALONE
    }
    assert {file: each for file, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "source",
    [
        "kind == 'sqlite'",
        "drivers = {'mysql': 'mysql+pymysql'}",
        "engine.dialect.name in kinds",
        "url.get_backend_name() != kind",
    ],
)
def test_check_finds_each_kind_of_use(source: str) -> None:
    """The check finds a name, and a comparison without one."""
    assert list(uses(source))
