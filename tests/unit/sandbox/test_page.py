"""The inbox's page as it is rendered, without a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from yunxin_soap.sandbox.faults.model import FAULT_TYPES
from yunxin_soap.sandbox.inbox import page as inbox_page
from yunxin_soap.sandbox.inbox.openapi import fault_kinds
from yunxin_soap.sandbox.inbox.page import render_page

STATIC = Path(inbox_page.__file__).parent / "static"


@pytest.fixture(scope="module")
def form() -> html.HtmlElement:
    """The form that injects faults."""
    return html.fromstring(render_page()).get_element_by_id("fault")


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an option's value if it is given."""
    return next((each for each in schema.get("anyOf", ()) if each["type"] != "null"), schema)


def test_page_kinds_are_those_of_the_models(form: html.HtmlElement) -> None:
    """The form has every kind, in the order of the models, with its description."""
    kinds = form.xpath(".//select[@name='kind']/option")
    assert [each.get("value") for each in kinds] == list(FAULT_TYPES)
    for each in kinds:
        assert each.get("title") == fault_kinds()[each.get("value")]["description"]


@pytest.mark.parametrize("kind", FAULT_TYPES)
def test_page_options_of_a_kind_are_those_of_its_model(form: html.HtmlElement, kind: str) -> None:
    """Each option has one control, with the description, default and limits of the model."""
    fields = [each for each in form.iter("div") if kind in each.get("data-kinds", "").split()]
    names = [each.attrib["data-option"] for each in fields]
    options = fault_kinds()[kind]["properties"]
    assert sorted(names) == sorted(options.keys() - {"kind", "when"})
    for field, name in zip(fields, names, strict=True):
        schema = options[name]
        (label,), (hint,) = field.xpath("./label"), field.xpath("./small")
        assert label.get("title") == hint.get("data-hint") == schema["description"]
        assert json.loads(field.attrib["data-default"]) == schema["default"]
        given = without_null(schema)
        assert field.get("data-type") == given["type"]
        (control,) = field.xpath("./input | ./select")
        assert control.get("name") == name
        assert (control.get("id"), control.get("aria-describedby")) == (
            label.get("for"),
            hint.get("id"),
        )
        if "enum" in given:
            assert [each.text for each in control.iter("option")] == [None, *given["enum"]]
        if "maximum" in given:
            assert float(control.get("max")) == given["maximum"]
        if "minimum" in given:
            assert float(control.get("min")) == given["minimum"]
        if "exclusiveMinimum" in given:
            assert float(control.get("min")) > given["exclusiveMinimum"]


def test_page_has_no_inline_script_or_style() -> None:
    """The content security policy blocks inline scripts, styles and event handlers."""
    page = html.fromstring(render_page())
    assert not page.xpath("//script[not(@src)] | //style | //@style")
    assert not [name for each in page.iter() for name in each.attrib if name.startswith("on")]


def test_page_every_text_is_in_the_table() -> None:
    """Each text that the page or a script names is in the table, and none is there in vain."""
    table = (STATIC / "texts.js").read_text("utf-8")
    named = set(re.findall(r"^  '?([a-z][\w.-]*)'?: \[", table, re.MULTILINE))
    page = html.fromstring(render_page())
    used = {each for name in ("data-text", "data-label") for each in page.xpath(f"//@{name}")}
    scripts = "".join(each.read_text("utf-8") for each in STATIC.glob("*.js"))
    used |= set(re.findall(r"(?<![\w$.])(?:t|add|copyButton)\('([a-z][\w.-]*)'", scripts))
    assert used <= named
    spare = {each for each in named - used if f"'{each}'" not in scripts.replace(table, "")}
    made = ("outcome.", "when.", "kind.", "term.", "theme.", "key.")  # put together by scripts
    assert {each for each in spare if not each.startswith(made)} == set()


def test_page_every_description_of_the_models_is_in_chinese() -> None:
    """The Chinese form explains every kind and every option."""
    table = (STATIC / "texts.js").read_text("utf-8")
    for kind in fault_kinds().values():
        for described in (kind, *kind["properties"].values()):
            if "const" not in described or "description" in described:
                assert f"  '{described['description']}':" in table
