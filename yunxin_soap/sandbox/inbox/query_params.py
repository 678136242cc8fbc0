"""The query parameters of the REST API, parsed strictly: a mistyped name must not match all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, TypeVar

from multidict import MultiMapping
from pydantic import AfterValidator, BeforeValidator, Field

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.inbox import search
from yunxin_soap.sandbox.inbox.errors import ApiError
from yunxin_soap.sandbox.strict_models import Text, from_strings, model
from yunxin_soap.sentences import Sentence, text_of

MAX_ID = 10**15 - 1
"""The highest id that a request can name."""
MAX_PAGE = 1000
"""The most arrivals that one list returns."""
MAX_WAIT = 60.0
"""The most seconds that one request can wait for an arrival."""
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,2})?")
_Q = TypeVar("_Q", bound="NoQuery")


def _check_digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch("[0-9]{1,15}", value):
        raise ValueError(Sentence("must be a whole number of at most 15 digits"))
    return value


def _check_decimal(value: object) -> object:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError(Sentence("must be a number, such as 10 or 0.5"))
    return value


def _check_search(value: str) -> str:
    search.matcher(value, 0)
    return value


def _check_offset(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch("-?[0-9]{1,3}", value):
        raise ValueError(Sentence("must be minutes east of UTC, such as 480"))
    return value


_Search = Annotated[Text, AfterValidator(_check_search)]
_Offset = Annotated[int, Field(ge=-960, le=960), BeforeValidator(_check_offset)]
_Id = Annotated[int, Field(ge=0, le=MAX_ID), BeforeValidator(_check_digits)]
_PageSize = Annotated[int, Field(ge=0, le=MAX_PAGE), BeforeValidator(_check_digits)]
_Timeout = Annotated[
    float, Field(ge=0, le=MAX_WAIT, allow_inf_nan=False), BeforeValidator(_check_decimal)
]


@model(kw_only=True)
class NoQuery:
    """A query without parameters."""


@model(kw_only=True)
class SearchQuery(NoQuery):
    """Which arrivals to return: those that match all given parameters."""

    q: _Search = Field(
        "",
        description="A search as the page has it, such as `to:13900000000 outcome:rejected`. The"
        " terms are to:, outcome:, code:, text:, account:, before: and words; quotes keep spaces.",
    )
    utc_offset: _Offset = Field(
        0, description="Minutes east of UTC, for the times in `q` that name no zone."
    )
    text: Text = Field(
        "",
        description="Part of the message, a number, the result, the batch number or the user code;"
        " upper and lower case are the same.",
    )
    outcome: Outcome | None = Field(None, description="The outcome.")
    recipient: Text = Field("", description="One of the recipients, the complete number.")
    batch_no: Text = Field("", description="The batch number.")
    after_id: _Id = Field(0, description="Only arrivals with a higher id.")
    before_id: _Id | None = Field(None, description="Only arrivals with a lower id.")

    def matcher(self) -> Callable[[Arrival], bool]:
        """Return a function that says whether an arrival matches all parameters."""
        matches_search = search.matcher(self.q, self.utc_offset)
        text = self.text.lower()
        return lambda arrival: (
            arrival.id > self.after_id
            and (self.before_id is None or arrival.id < self.before_id)
            and self.outcome in (None, arrival.outcome)
            and (not self.recipient or self.recipient in arrival.recipients)
            and self.batch_no in ("", arrival.batch_no)
            and (not text or search.matches_text(arrival, text))
            and matches_search(arrival)
        )


@model(kw_only=True)
class ListQuery(SearchQuery):
    """A search with a page size."""

    limit: _PageSize = Field(100, description="The most arrivals to return.")


@model(kw_only=True)
class WaitQuery(SearchQuery):
    """A search with a timeout."""

    timeout: _Timeout = Field(10.0, description="The most seconds to wait.")


def parse_query(query: MultiMapping[str], made: type[_Q]) -> _Q:
    """Parse the query of a request.

    Args:
        query: the query's parameters.
        made: the model to return.

    Raises:
        ApiError: 400, a parameter is unknown or given twice; 422, a value is invalid.
    """
    known = sorted(each.name for each in fields(made))
    for name in query:
        if name not in known:
            raise ApiError(
                400,
                Sentence(
                    "Unknown query parameter {name}; the parameters here are {names}.",
                    name=repr(name),
                    names=", ".join(known) or Sentence("none"),
                ),
            )
        if len(query.getall(name)) > 1:
            raise ApiError(
                400, Sentence("The query parameter {name} is given more than once.", name=name)
            )
    try:
        return from_strings(made, dict(query), Sentence("query"))
    except ConfigurationError as error:
        raise ApiError(422, text_of(error)) from None
