"""Shows the finished texts of a campaign and what they cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from yunxin_soap.cli.output import pluralize, print_text
from yunxin_soap.redact import quote, summarise_numbers

if TYPE_CHECKING:
    from yunxin_soap.campaign import Preview, Sample

_START_SHOWN, _END_SHOWN = 200, 60
"""Characters of a long text that a terminal shows: its start, and its end with the signature."""

price_option = click.option(
    "--price", metavar="AMOUNT", help="The price of one segment, such as 0.045: shows the cost."
)


def parse_price(price: str | None) -> Decimal | None:
    """Return the amount of ``--price``.

    Raises:
        ConfigurationError: it is no amount.
    """
    from yunxin_soap.campaign.models import parse_price

    return None if price is None else parse_price(price)


def preview_as_dict(preview: Preview, price: Decimal | None) -> dict[str, Any]:
    """Return the texts, the segments and the cost, for JSON: amounts are strings, to be exact."""
    return {
        "numbers_by_segments": preview.numbers_by_segments,
        "price": None if price is None else f"{price:f}",
        "cost": None if price is None else f"{preview.cost(price):f}",
        "samples": [asdict(each) for each in preview.samples],
    }


def print_preview(preview: Preview, price: Decimal | None, *, err: bool = False) -> None:
    """Print the numbers by segments, the cost and the texts.

    Args:
        preview: what is sent.
        price: the price of one segment, or None.
        err: whether to print on standard error.
    """
    for line in _lines(preview, price):
        print_text(line, err=err)


def _lines(preview: Preview, price: Decimal | None) -> Iterator[str]:
    if len(preview.numbers_by_segments) > 1:
        yield "Segments: " + ", ".join(
            f"{pluralize(count, 'number')} with {segments}"
            for segments, count in preview.numbers_by_segments.items()
        )
    if price is not None:
        segments = pluralize(preview.plan.segments, "segment")
        yield f"Cost: {segments} × {price:f} = {preview.cost(price):f} (an estimate)"
    for sample in preview.samples:
        name = ", ".join(sample.names).capitalize() or "Another"
        filled = "".join(f", {column} = {quote(value)}" for column, value in sample.values.items())
        yield (
            f"{name} text, to {summarise_numbers(sample.number)},"
            f" {pluralize(sample.segments, 'segment')}{filled}:"
        )
        yield f"  {_shorten(sample)}"


def _shorten(sample: Sample) -> str:
    text = sample.message
    if len(text) <= _START_SHOWN + _END_SHOWN:
        return text
    return f"{text[:_START_SHOWN]} … {text[-_END_SHOWN:]}"
