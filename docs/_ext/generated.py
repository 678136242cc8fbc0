"""The directive ``generated``: parts of the reference that are made from the code.

Each function below returns Markdown. It is made when the documents are built, so that it is never
out of date.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from inspect import cleandoc
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import click
from docutils import nodes
from opentelemetry.metrics import Meter, MeterProvider, NoOpMeter, NoOpMeterProvider
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

import diagram
import error_texts
from yunxin_soap import codes, settings, telemetry
from yunxin_soap.campaign import State
from yunxin_soap.cli import cli
from yunxin_soap.cli.exit_status import MEANINGS
from yunxin_soap.cli.language import translate, using
from yunxin_soap.client import ClientBase
from yunxin_soap.sandbox.faults.model import FAULT_TYPES, FaultKind, option_names
from yunxin_soap.sandbox.inbox import openapi

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "yunxin_soap"
_Part = Callable[[], str]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    cells = [list(head), *map(list, rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join(
        "| " + " | ".join(each.replace("|", "\\|").replace("\n", " ") for each in row) + " |"
        for row in cells
    )


def _arguments(docstring: str) -> dict[str, str]:
    """Return what a docstring in Google's style says of each argument."""
    section = dedent(docstring).partition("Args:\n")[2]
    section = re.split(r"\n[ ]*(?:Raises|Returns|Yields):\n", section)[0]
    section = dedent(section)
    found = re.findall(r"^(\w+): (.*(?:\n +.*)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).strip() for name, text in found}


def _settings() -> str:
    meanings = _arguments(ClientBase.__init__.__doc__ or "")
    rows = []
    for each in fields(settings.Settings):
        meaning = meanings[each.name]  # an argument that nothing documents fails the build
        has_variable = each.name in settings.ENV_NAMES
        variable = f"`YUNXIN_{each.name.upper()}`" if has_variable else ""
        rows.append((f"`{each.name}`", variable, meaning))
    return _table(("argument", "variable", "meaning"), rows)


def _codes() -> str:
    def flags(code: codes.ResultCode) -> str:
        if code is codes.ResultCode.APPLICATION_EXCEPTION:
            return "never safe to send again"
        return "may pass by itself" if code.temporary else ""

    return _table(
        ("code", "中文", "English", "`category`", ""),
        (
            (
                f"{code.value}",
                code.description_zh,
                code.description_en,
                code.category.value,
                flags(code),
            )
            for code in codes.ResultCode
        ),
    )


def _categories() -> str:
    documented = _attribute_docstrings(PACKAGE / "codes.py", "Category")
    return _table(
        ("`category`", "what to fix"),
        ((each.value, documented[each.name]) for each in codes.Category),
    )


def _attribute_docstrings(file: Path, owner: str) -> dict[str, str]:
    """Return the docstring below each attribute of a class."""
    tree = ast.parse(file.read_text("utf-8"))
    (found,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == owner
    )
    texts: dict[str, str] = {}
    for node, after in zip(found.body, found.body[1:], strict=False):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            texts[node.targets[0].id] = re.sub(r"\s+", " ", str(after.value.value))
    return texts


def _states() -> str:
    documented = _attribute_docstrings(PACKAGE / "campaign" / "models.py", "State")
    rows = ((f"`{state.value}`", documented[state.name]) for state in State)
    return _table(("state", "meaning"), rows)


def _campaign_states() -> str:
    documented = _attribute_docstrings(PACKAGE / "campaign" / "models.py", "CampaignState")
    return _table(
        ("state", "meaning"), ((f"`{name.lower()}`", text) for name, text in documented.items())
    )


def _exit_statuses() -> str:
    return "\n\n".join(
        f"## {commands}\n\n"
        + _table(
            ("status", "meaning"),
            ((f"{status:d}", translate(meaning)) for status, meaning in meanings.items()),
        )
        for commands, meanings in MEANINGS.items()
    )


def _commands() -> str:
    return "\n\n".join(_describe(path, command) for path, command in _all_commands(cli, ()))


def _all_commands(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _all_commands(command, (*path, name))


def _describe(path: tuple[str, ...], command: click.Command) -> str:
    """Return the section of one command."""
    line = " ".join(("yunxin-soap", *path))
    parts = [f"{'#' * (1 + len(path))} {line}", _paragraphs(command.help or "")]
    if isinstance(command, click.Group):
        return "\n\n".join(parts)
    context = click.Context(command, info_name=line)
    usage = " ".join(command.collect_usage_pieces(context))
    parts.append(f"```text\n{line} {usage}\n```")
    rows = [_option(each, context) for each in command.params if isinstance(each, click.Option)]
    if rows:
        parts.append(_table(("option", "meaning"), rows))
    if command.epilog:
        parts.append(_paragraphs(command.epilog))
    return "\n\n".join(parts)


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    record = option.get_help_record(context)
    assert record is not None
    names, meaning = record
    return f"`{names}`", _escaped(meaning)


def _escaped(text: str) -> str:
    """Return a text of the help as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)


def _paragraphs(text: str) -> str:
    """Return click's help text as Markdown: ``\\b`` begins a paragraph that is kept as it is."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", cleandoc(text)):
        lines = paragraph.removeprefix("\b").strip("\n")
        if paragraph.startswith("\b") and "\n" in lines:
            parts.append(f"```text\n{lines}\n```")
        else:
            parts.append(_escaped(lines))
    return "\n\n".join(parts)


def _rest() -> str:
    parts = []
    for path, methods in openapi.document("", needs_login=False)["paths"].items():
        for method, operation in methods.items():
            parts.append(f"## {method.upper()} {path}\n\n{operation['summary']}")
            if "requestBody" in operation:
                parts.append("The body is JSON; `/api/v1/openapi.json` has its schema.")
            if parameters := operation["parameters"]:
                parts.append(
                    _table(
                        ("parameter", "in", "meaning"),
                        (
                            (f"`{each['name']}`", each["in"], _escaped(each["description"]))
                            for each in parameters
                        ),
                    )
                )
            parts.append("Statuses: " + ", ".join(operation["responses"]) + ".")
    return "\n\n".join(parts)


def _faults() -> str:
    def first_line(kind: FaultKind) -> str:
        return (FAULT_TYPES[kind].__doc__ or "").strip().splitlines()[0]

    return _table(
        ("fault", "what happens", "options"),
        (
            (f"`{kind}`", first_line(kind), ", ".join(f"`{name}`" for name in option_names(kind)))
            for kind in FAULT_TYPES
        ),
    )


def _fault_options() -> str:
    rows: dict[str, tuple[str, str]] = {}
    for kind in openapi.fault_kinds().values():
        for name, schema in kind["properties"].items():
            if name != "kind":
                default = "" if schema.get("default") is None else f"`{schema['default']}`"
                rows.setdefault(name, (default, schema["description"]))
    return _table(
        ("option", "default", "meaning"),
        ((f"`{name}`", default, _escaped(text)) for name, (default, text) in rows.items()),
    )


class _RecordingMeter(NoOpMeter):
    """Writes down the instruments that are made."""

    def __init__(self) -> None:
        super().__init__("reference")
        self.rows: list[tuple[str, str, str, str]] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("create_"):
            return found
        kind = name.removeprefix("create_").replace("_", " ")

        def create(*args: Any, **options: Any) -> Any:
            description, unit = options["description"], options["unit"]
            self.rows.append((f"`{args[0]}`", kind, unit, description))
            return found(*args, **options)

        return create


class _RecordingProvider(NoOpMeterProvider):
    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def get_meter(self, *_args: Any, **_options: Any) -> Meter:
        return self._meter


def _metrics() -> str:
    meter = _RecordingMeter()
    provider: MeterProvider = _RecordingProvider(meter)
    telemetry.Instrumentation(None, provider, label_campaigns=False).remove()
    ledger: Any = None  # it is read when metrics are exported, and none are
    telemetry.observe_ledger(ledger, meter_provider=provider)
    return _table(("metric", "kind", "unit", "meaning"), meter.rows)


def _modules() -> str:
    purposes: dict[str, str] = {}
    for file in PACKAGE.rglob("*.py"):
        docstring = ast.get_docstring(ast.parse(file.read_text("utf-8")))
        path = file.relative_to(PACKAGE)
        if docstring is None or file.name == "_version.py":
            continue
        name = path.parent.as_posix() if file.name == "__init__.py" else path.as_posix()
        name = PACKAGE.name if name == "." else name
        purposes[name] = docstring.splitlines()[0].replace("``", "`")
    rows = ((f"`{name}`", purpose) for name, purpose in sorted(purposes.items()))
    return _table(("module", "purpose"), rows)


def _contracts() -> str:
    with (TOP / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    parts = []
    for each in contracts:
        parts.append(f"### {each['name']}")
        if each["type"] == "layers":
            inside = ", ".join(f"`{name}`" for name in each["containers"])
            parts.append(f"The layers of {inside}, the highest first:")
            parts.append(
                "\n".join(
                    f"{number}. " + ", ".join(f"`{part.strip()}`" for part in layer.split("|"))
                    for number, layer in enumerate(each["layers"], 1)
                )
            )
        elif each["type"] == "forbidden":
            directly = "directly, " if each.get("allow_indirect_imports") else ""
            parts.append(
                f"None of these imports, {directly}what is named below: "
                + ", ".join(f"`{name}`" for name in each["source_modules"])
            )
            forbidden = ", ".join(f"`{name}`" for name in each["forbidden_modules"])
            parts.append(f"Forbidden: {forbidden}")
        else:
            parts.append("Holds in all of the package.")
    return "\n\n".join(parts)


PARTS: dict[str, _Part] = {
    "campaign-states": _campaign_states,
    "categories": _categories,
    "codes": _codes,
    "commands": _commands,
    "contracts": _contracts,
    "error-texts": error_texts.page,
    "exit-statuses": _exit_statuses,
    "fault-options": _fault_options,
    "faults": _faults,
    "metrics": _metrics,
    "modules": _modules,
    "rest": _rest,
    "settings": _settings,
    "states": _states,
}


class Generated(SphinxDirective):
    """``{generated} codes``: a part of `PARTS`, or ``{generated} state-diagram``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the part."""
        # A page must be read again when the code has changed, whatever Sphinx has in its cache.
        self.env.note_reread()
        if self.arguments[0] == "state-diagram":
            return [nodes.raw("", diagram.draw(), format="html")]
        # Chinese pages show commands and errors in Chinese, whatever the locale of the build.
        with using("zh" if self.config.language == "zh_CN" else "en"):
            text = PARTS[self.arguments[0]]()
        return self.parse_text_to_nodes(text, allow_section_headings=True)


_attributes: dict[str, list[str]] = {}


def keep_attribute(
    _app: Sphinx, what: str, name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Keep an attribute's docstring: napoleon would take it, up to a colon, for a type."""
    if what in ("attribute", "data", "property"):
        _attributes[name] = lines.copy()


def restore_attribute(
    _app: Sphinx, _what: str, name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Put the docstring back after napoleon."""
    lines[:] = _attributes.pop(name, lines)


def find_by_end_of_name(
    _app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Link a name in a docstring, such as `Client.send`, if only one object's name ends in it."""
    if node.get("refdomain") != "py":
        return None
    end = "." + str(node["reftarget"]).lstrip(".")
    objects = env.domains.python_domain.objects
    found = [name for name, entry in objects.items() if name.endswith(end) and not entry.aliased]
    if len(found) != 1:
        return None
    entry = objects[found[0]]
    builder = _app.builder
    return make_refnode(builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive, and what docstrings need."""
    app.add_directive("generated", Generated)
    app.connect("autodoc-process-docstring", keep_attribute, priority=400)
    app.connect("autodoc-process-docstring", restore_attribute, priority=600)  # napoleon has 500
    app.connect("missing-reference", find_by_end_of_name)
    return {"parallel_read_safe": True}
