"""A response that differs from the last one only in its number is recognised; no other is."""

from __future__ import annotations

import pytest

from yunxin_soap.transport.base import Response
from yunxin_soap.wire.response_template import ResponseTemplate

NUMBER = "2114355899380234221"
XML = '<?xml version="1.0" encoding="utf-8"?>'


def response(result: str, *, head: str = XML, attribute: str = "") -> Response:
    """Return what the service answers, with a result between its tags."""
    body = f'{head}<string xmlns="http://tempuri.org/"{attribute}>{result}</string>'
    return Response(200, "text/xml; charset=utf-8", body.encode())


def learned(response: Response, number: str = NUMBER) -> ResponseTemplate | None:
    return ResponseTemplate.learn(number, "utf-8", response)


def test_template_reads_another_number() -> None:
    """It reads the number of the next response, a negative code too, with the XML head or not."""
    for head in (XML, ""):
        template = learned(response(NUMBER, head=head))
        assert template is not None
        assert template.match(response("-7", head=head)) == "-7"


@pytest.mark.parametrize(
    "between",
    ["<?p?>", "<!---->", "<![CDATA[", "&#50;"],
    ids=["instruction", "comment", "CDATA", "reference"],
)
def test_template_of_a_number_in_pieces_is_not_learned(between: str) -> None:
    """The number in plain sight, in an attribute, is not the result that the parser has read."""
    split = f"{NUMBER[:3]}{between}{NUMBER[3:]}"
    assert learned(response(split, attribute=f' about="{NUMBER}"')) is None


@pytest.mark.parametrize("learned_from", [NUMBER, "1" * 20])
@pytest.mark.parametrize("digits", [1, 20])
def test_template_takes_up_to_20_digits(learned_from: str, digits: int) -> None:
    """A batch number has 20 digits at most, as the parser of results has it."""
    template = learned(response(learned_from), learned_from)
    assert template is not None
    assert template.match(response("1" * digits)) == "1" * digits


@pytest.mark.parametrize("text", ["1" * 21, "", "-", "--7", "1x", " 1"])
def test_template_takes_nothing_else(text: str) -> None:
    """What is no number, or a longer one, is left to the parser."""
    assert learned(response(text), text) is None
    template = learned(response(NUMBER))
    assert template is not None
    assert template.match(response(text)) is None
