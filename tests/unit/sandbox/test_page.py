"""The inbox's page as it is rendered, without a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lxml import html

from yunxin_soap.sandbox.faults.model import FAULT_TYPES
from yunxin_soap.sandbox.inbox.openapi import fault_kinds
from yunxin_soap.sandbox.inbox.page import render_page


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
    labels = [each for each in form.iter("label") if kind in each.get("data-kinds", "").split()]
    names = [each.attrib["data-option"] for each in labels]
    options = fault_kinds()[kind]["properties"]
    assert sorted(names) == sorted(options.keys() - {"kind", "when"})
    for label, name in zip(labels, names, strict=True):
        schema = options[name]
        assert label.get("title") == schema["description"]
        assert json.loads(label.attrib["data-default"]) == schema["default"]
        given = without_null(schema)
        assert label.get("data-type") == given["type"]
        (control,) = label.xpath("./input | ./select")
        assert control.get("name") == name
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
