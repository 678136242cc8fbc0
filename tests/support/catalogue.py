"""The catalogue of translations: ``python -m tests.support.catalogue`` brings it up to date.

Babel writes the files. What is translated is found here, since help texts are docstrings and
arguments of decorators, which no keyword of Babel's reaches:

- the first argument of `Sentence` and `tr`, both of `Plural`;
- a plain text that an error of the package is made of;
- in the command line, ``help=``, the docstrings of commands, and the paragraphs of texts that have
  one which is not wrapped;
- the words of click that a user meets.
"""

from __future__ import annotations

import ast
import inspect
import io
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from yunxin_soap.translation import CATALOGUE, DIRECTORY, DOMAIN

PACKAGE = DIRECTORY.parent
PO = DIRECTORY / CATALOGUE / "LC_MESSAGES" / f"{DOMAIN}.po"
MO = PO.with_suffix(".mo")
MARKERS = {"Sentence", "tr"}
ERRORS = {
    "ConfigurationError",
    "ConfigurationRejected",
    "ContentConflict",
    "GatewayRejected",
    "InvalidRequest",
    "LedgerError",
    "NotInLedger",
    "NotSent",
    "OutcomeUnknown",
    "RecipientsSuppressed",
    "Rejected",
    "SendExpired",
    "Unreadable",
    "invalid_request",
    "not_sent",
    "outcome_unknown",
}
"""What makes an error of the package, or of `wsdl`, from a text."""
CLASSES = {
    "invalid_request": "InvalidRequest",
    "not_sent": "NotSent",
    "outcome_unknown": "OutcomeUnknown",
}
"""Functions that make an error, and its class."""
REJECTED_BY_CODE = (
    "The gateway rejected the submission with {code} {description_zh} ({description_en}):"
    " {remedy}.",
)
"""Texts of errors whose class is chosen when the program runs."""
LABELS = {"cli/exit_status.py", "cli/send.py", "cli/wsdl.py", "sentences.py"}
"""Modules with sentences that no error has."""
HEADER = """\
# The Chinese of the command line.
# After a change of the texts: python -m tests.support.catalogue"""
CLICK: tuple[str | tuple[str, str], ...] = (
    "Aborted!",
    "Could not open file {filename!r}: {message}",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    "Error: invalid input",
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    "Invalid value for {param_hint}: {message}",
    "Invalid value: {message}",
    "Missing argument",
    "Missing command.",
    "Missing option",
    "Missing parameter",
    "No such command {name!r}.",
    "No such option {name!r}.",
    "Option {name!r} does not take a value.",
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    "Options",
    "Show this message and exit.",
    "Usage:",
    "default: {default}",
    "directory",
    "env var: {var}",
    "file",
    "path",
    "required",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a directory.",
    "{name} {filename!r} is not readable.",
    "{value!r} is not a valid {number_type}.",
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    "{value} is not in the range {range}.",
)


def messages() -> list[str | tuple[str, str]]:
    """Return everything that the package shows, sorted; a pair has a singular and a plural."""
    found: set[str | tuple[str, str]] = set(CLICK)
    for path in PACKAGE.rglob("*.py"):
        is_command = "cli" in path.relative_to(PACKAGE).parts
        found.update(_found_in(ast.parse(path.read_text("utf-8")), is_command=is_command))
    found.discard("")
    return sorted(found, key=str)


def _found_in(tree: ast.AST, *, is_command: bool) -> Iterator[str | tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _found_in_call(node, is_command=is_command)
        elif is_command and isinstance(node, ast.FunctionDef) and _is_command(node):
            yield inspect.cleandoc(ast.get_docstring(node) or "")
        elif is_command and isinstance(node, ast.Assign):
            text = _text(node.value)
            # Paragraphs that click does not wrap: the ends of help texts.
            if text is not None and "\b\n" in text:
                for paragraph in text.strip().split("\n\n"):
                    yield paragraph.removeprefix("\b\n")


def _found_in_call(call: ast.Call, *, is_command: bool) -> Iterator[str | tuple[str, str]]:
    name = name_of(call)
    texts = [_text(each) for each in call.args]
    if name == "Plural":
        one, many = texts
        assert one is not None
        assert many is not None
        yield one, many
    elif texts and texts[0] is not None and name in MARKERS | ERRORS:
        yield texts[0]
    for keyword in call.keywords:
        if is_command and keyword.arg == "help" and (text := _text(keyword.value)):
            yield inspect.cleandoc(text)


def error_texts() -> dict[str, list[str]]:
    """Return the templates of each class of errors, as in the code's order."""
    return _collected()[0]


def parts() -> dict[str, list[str]]:
    """Return, by module, the sentences that are not the whole text of an error."""
    return _collected()[1]


@cache
def _collected() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    texts: defaultdict[str, list[str]] = defaultdict(list)
    others: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        whole: set[str] = set()
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        for call in calls:
            kind = CLASSES.get(name_of(call), name_of(call))
            text = _template(call.args[0]) if call.args else None
            if kind in ERRORS - set(CLASSES) and text is not None:
                whole.add(text)
                if text not in texts[kind]:
                    texts[kind].append(text)
        for call in calls:
            text = _template(call)
            # One word is a label of a table.
            if text is not None and text not in whole and " " in text and module not in LABELS:
                others[module].append(text)
    texts["Rejected"].extend(REJECTED_BY_CODE)
    others["errors.py"] = [each for each in others["errors.py"] if each not in REJECTED_BY_CODE]
    for each in texts.pop("Unreadable"):
        others["wire/description.py"].append(each)
    return dict(texts), dict(others)


def _template(node: ast.expr) -> str | None:
    """Return the template of ``Sentence(...)``, or a plain text."""
    if isinstance(node, ast.Call) and name_of(node) == "Sentence":
        return _text(node.args[0])
    return _text(node)


def name_of(call: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    called = call.func
    return getattr(called, "attr", getattr(called, "id", ""))


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_command(function: ast.FunctionDef) -> bool:
    calls = [each for each in function.decorator_list if isinstance(each, ast.Call)]
    return any(name_of(each) in ("command", "group") for each in calls)


def read() -> Catalog:
    """Return the catalogue as it is."""
    with PO.open("rb") as file:
        return read_po(file, locale=CATALOGUE)


def update(old: Catalog) -> Catalog:
    """Return the catalogue with what the package shows now; what is new is untranslated."""
    new = Catalog(locale=CATALOGUE, header_comment=HEADER, fuzzy=False)
    for each in messages():
        known = old.get(each if isinstance(each, str) else each[0])
        new.add(each, known.string if known is not None else "")
    return new


def po_of(catalogue: Catalog) -> bytes:
    """Return the text of a catalogue, without dates and places: it changes only with the texts."""
    file = io.BytesIO()
    write_po(file, catalogue, omit_header=True, width=100)
    head = (
        f'{HEADER}\nmsgid ""\nmsgstr ""\n"Language: {CATALOGUE}\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'
        '"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
    )
    return head.encode() + file.getvalue()


def mo_of(catalogue: Catalog) -> bytes:
    """Return the compiled catalogue."""
    # So that the file changes with the texts only.
    catalogue.creation_date = catalogue.revision_date = datetime(2026, 1, 1, tzinfo=timezone.utc)
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def main() -> None:
    """Write both files, and say what is to be translated."""
    PO.parent.mkdir(parents=True, exist_ok=True)
    new = update(read() if PO.exists() else Catalog(locale=CATALOGUE))
    PO.write_bytes(po_of(new))
    MO.write_bytes(mo_of(read()))
    missing = [each.id for each in new if each.id and not each.string]
    sys.stdout.write(f"{len(new)} texts, {len(missing)} to translate in {PO}\n")


if __name__ == "__main__":
    main()
