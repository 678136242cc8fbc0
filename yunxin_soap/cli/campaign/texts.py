"""Shows the finished texts of a campaign and what they cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from yunxin_soap.cli.commands import option
from yunxin_soap.cli.language import tr, translate
from yunxin_soap.cli.output import pluralize, print_text
from yunxin_soap.redact import quote, summarise_numbers
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.campaign import Preview, Sample

_START_SHOWN, _END_SHOWN = 200, 60
"""Characters of a long text that a terminal shows: its start, and its end with the signature."""

_SAMPLES = {
    "first": Sentence("first"),
    "longest": Sentence("longest"),
    "shortest": Sentence("shortest"),
}
price_option = option(
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
        yield tr(
            "Segments: {counts}",
            counts=", ".join(
                tr(
                    "{numbers} with {segments}",
                    numbers=pluralize(count, "number"),
                    segments=segments,
                )
                for segments, count in preview.numbers_by_segments.items()
            ),
        )
    if price is not None:
        segments = pluralize(preview.plan.segments, "segment")
        yield tr(
            "Cost: {segments} × {price} = {cost} (an estimate)",
            segments=segments,
            price=f"{price:f}",
            cost=f"{preview.cost(price):f}",
        )
    for sample in preview.samples:
        names = [translate(_SAMPLES[each]) for each in sample.names]
        name = tr(", ").join(names).capitalize() or tr("Another")
        filled = "".join(f", {column} = {quote(value)}" for column, value in sample.values.items())
        yield (
            tr(
                "{name} text, to {number}, {segments}{filled}:",
                name=name,
                number=summarise_numbers(sample.number),
                segments=pluralize(sample.segments, "segment"),
                filled=filled,
            )
        )
        yield f"  {_shorten(sample)}"


def _shorten(sample: Sample) -> str:
    text = sample.message
    if len(text) <= _START_SHOWN + _END_SHOWN:
        return text
    return f"{text[:_START_SHOWN]} … {text[-_END_SHOWN:]}"
