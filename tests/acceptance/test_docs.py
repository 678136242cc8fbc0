"""The documents are true: their code runs, and the tests that they name exist."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from tests.support.doc_pages import DOCS, PAGES, READMES, TOP, Block, PageRun, matches, read_blocks
from yunxin_soap import (
    ConfigurationError,
    NotInLedger,
    NotSent,
    OutcomeUnknown,
    Rejected,
    RequestInfo,
    YunxinError,
)
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.settings import ENV_NAMES

_RUN = frozenset({"python", "sh", "console", "run"})
_FOR_PEOPLE = frozenset({"text"})
_MARKS = ("run by", "not run")


def _name(path: Path) -> str:
    return path.relative_to(TOP).with_suffix("").as_posix().removeprefix("docs/")


def _is_run(block: Block) -> bool:
    return block.language in _RUN and not any(mark in block.marks for mark in _MARKS)


# The Chinese README has the code of the English one; test_readme compares them.
WITH_CODE = [
    path
    for path in PAGES
    if path != READMES[1] and any(_is_run(block) for block in read_blocks(path))
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", WITH_CODE, ids=_name)
def test_page_code_runs(
    path: Path, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code blocks of a page run, one after the other, and print what the page shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with monkeypatch.context() as patch:
        # What a page sets is gone after it.
        for name in ("ENDPOINT", "USER_CODE", "USER_PASS", "CHANNEL", "SIGNATURE", "LEDGER"):
            patch.setenv(f"YUNXIN_{name}", "")
        PageRun(path, tmp_path, sandbox).run()


def test_every_block_is_run_or_says_why_not() -> None:
    """A block that no test runs has a reason above it; one that a test runs names that test."""
    unexplained = [
        f"{_name(path)}:{block.line}"
        for path in PAGES
        for block in read_blocks(path)
        if not (_is_run(block) or block.file_name or block.language in _FOR_PEOPLE)
        and not any(block.marks.get(mark) for mark in _MARKS)
    ]
    assert unexplained == []


def test_environment_page_has_every_variable() -> None:
    """The page names every ``YUNXIN_*`` variable that the package reads."""
    sources = "".join(path.read_text("utf-8") for path in (TOP / "yunxin_soap").rglob("*.py"))
    read = set(re.findall(r"\bYUNXIN_[A-Z_]*[A-Z]\b", sources))
    read |= {f"YUNXIN_{name}" for name in re.findall(r'read_variable\("([A-Z_]+)"', sources)}
    read |= {f"YUNXIN_{name.upper()}" for name in ENV_NAMES}
    read.remove("YUNXIN_CELERY_DRAIN_FILE")  # from a worker to the processes of its own pool
    page = (DOCS / "reference" / "environment.md").read_text("utf-8")
    assert read - set(re.findall(r"`(YUNXIN_\w+)`", page)) == set()


@cache
def _functions(file: str) -> set[str]:
    tree = ast.parse((TOP / file).read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def test_tests_that_pages_name_exist() -> None:
    """Each test that a page names is in its file."""
    missing = []
    for path in PAGES:
        named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", path.read_text("utf-8"))
        for file, test in named:
            if not (TOP / file).exists() or (test and test not in _functions(file)):
                missing.append(f"{_name(path)}: {file}::{test}")
    assert missing == []


def test_errors_page_has_every_key_of_every_error() -> None:
    """The table of an error's keys in JSON has each key of each error, and no other."""
    text = (DOCS / "reference" / "errors.md").read_text("utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| .+? \| (.+) \|$", text, re.MULTILINE)
    errors: list[YunxinError] = [
        ConfigurationError("wrong"),
        NotInLedger("missing"),
        NotSent("away"),
        Rejected("no"),
        OutcomeUnknown("lost"),
    ]
    assert {key for keys, _ in rows for key in re.findall(r"`(\w+)`", keys)} == {
        key for error in errors for key in error.to_dict()
    }
    (request,) = (meaning for keys, meaning in rows if keys == "`request`")
    assert re.findall(r'"(\w+)"', request) == [field.name for field in fields(RequestInfo)]


@pytest.mark.parametrize(
    ("expected", "found", "is_match"),
    [
        ("2114355899380234221", "2114355899380234221\n", True),
        ("…", "2114\n", True),
        ("sent … of 3", "sent 3 of 3", True),
        ("sent … of 3", "sent 3 of 4", False),
        ("a (b)", "a b", False),
        ("first\n…\nlast", "first\nmiddle\nother\nlast", True),
        ("", "unexpected", False),
    ],
)
def test_matches_compares_output(expected: str, found: str, is_match: bool) -> None:
    """Dots stand for any text, and everything else for itself."""
    assert matches(expected, found) is is_match
