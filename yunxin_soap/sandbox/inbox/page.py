"""The inbox's page. The models of the faults generate its form for faults."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from yunxin_soap.codes import ResultCode
from yunxin_soap.sandbox.inbox.openapi import fault_kinds
from yunxin_soap.sandbox.inbox.static_files import static_files

_PREFILLED = {"times": "1", "seconds": "1"}
"""Values to start with where the model's default is not useful in the form."""
_STEP = 0.001
"""The step of the form's decimal numbers."""


@dataclass
class _Option:
    """An option as the form shows it for some kinds of faults."""

    name: str
    kinds: list[str]
    """The kinds that have the option, with this description and these values."""
    description: str
    type: str
    """The type in JSON Schema: integer, number, string or array."""
    choices: tuple[str, ...]
    """All valid values, if the schema lists them."""
    minimum: float | None
    maximum: float | None
    default: Any

    @property
    def value(self) -> str:
        """The text that the form starts with."""
        if self.name in _PREFILLED:
            return _PREFILLED[self.name]
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return "" if self.default in (None, []) else str(self.default)


@lru_cache(maxsize=1)
def render_page() -> bytes:
    """Return the page as UTF-8 encoded HTML."""
    templates = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["json"] = json.dumps
    kinds = fault_kinds()
    stages = {name: _choices(kind["properties"]["when"]) for name, kind in kinds.items()}
    options = _options(kinds)
    # The options that most kinds have choose the submissions that a fault hits; the others say what
    # the fault does. Nearly every fault needs `times`, so it stays with the latter.
    selection = [
        each for each in options if len(each.kinds) > len(kinds) / 2 and each.name != "times"
    ]
    page = templates.get_template("inbox.html.j2").render(
        codes=list(ResultCode),
        files={address.rpartition("/")[2]: address for address in static_files()},
        kinds=kinds,
        stages=stages,
        all_stages=list(dict.fromkeys(each for names in stages.values() for each in names)),
        effects=[each for each in options if each not in selection],
        selection=selection,
        step=_STEP,
    )
    return page.encode()


def _options(kinds: dict[str, Any]) -> list[_Option]:
    """Return the options in the order of the models; kinds with the same schema share one."""
    options: dict[str, _Option] = {}
    for kind, schema in kinds.items():
        for name, value in schema["properties"].items():
            if name in ("kind", "when"):
                continue
            shared = options.setdefault(name + json.dumps(value), _option(name, value))
            shared.kinds.append(kind)
    return list(options.values())


def _option(name: str, schema: dict[str, Any]) -> _Option:
    given = next((each for each in schema.get("anyOf", ()) if each["type"] != "null"), schema)
    minimum = given.get("minimum")
    return _Option(
        name=name,
        kinds=[],
        description=schema["description"],
        type=given["type"],
        choices=_choices(given),
        minimum=_STEP if given.get("exclusiveMinimum") == 0 else minimum,
        maximum=given.get("maximum"),
        default=schema["default"],
    )


def _choices(schema: dict[str, Any]) -> tuple[str, ...]:
    return tuple(schema.get("enum", ())) or ((schema["const"],) if "const" in schema else ())
