"""`AsyncLedger` has the methods of `Ledger`, and so has its ``once``."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from yunxin_soap.campaign.async_ledger import (
    AsyncLedger,
    AsyncOnceSends,
    AsyncPaces,
    AsyncSuppression,
)
from yunxin_soap.campaign.ledger import Ledger
from yunxin_soap.campaign.running.once import OnceSends
from yunxin_soap.campaign.storage.paces import Paces
from yunxin_soap.campaign.storage.suppression import Suppression

TWINS = [
    (Ledger, AsyncLedger, ()),
    (OnceSends, AsyncOnceSends, ("begin",)),
    (Suppression, AsyncSuppression, ("for_plan",)),
    (Paces, AsyncPaces, ("check", "of_run")),
]
_DIFFERENT_WORDS = [
    (r"Ctrl-C aborts (the run|it)", r"Cancelling the task aborts \1"),
    (r"the log says what", "the cause of the `CancelledError` says what"),
    (r"an? `(Async)?Client`", "a `Client`"),
    (r"an? `(Async)?Connection` or `(Async)?Session`", "a `Connection` or `Session`"),
    (r"the client is closed, or an event loop is running in this thread", "the client is closed"),
    (r"asyncio\.CancelledError: the task was cancelled; the ledger has recorded the outcome\.", ""),
    (r"`(Async)?Client\.(send|check)`", r"`Client.\2`"),
    (r", in a thread,", ""),
]


def public_methods(cls: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def parameters(function: Any) -> list[tuple[str, Any, Any, str]]:
    """Return names, kinds, defaults and annotations; those of clients and events are the same."""
    return [
        (
            each.name,
            each.kind,
            None if inspect.isfunction(each.default) else each.default,
            re.sub(
                r"\bAsync(Client|Transaction)\b",
                r"\1",
                re.sub("asyncio.Event", "threading.Event", annotation),
            ),
        )
        for each in inspect.signature(function).parameters.values()
        for annotation in [str(each.annotation)]
    ]


def words(function: Any) -> list[str]:
    """Return the docstring's words, but for what must differ."""
    text = " ".join((function.__doc__ or "").split())
    for pattern, replacement in _DIFFERENT_WORDS:
        text = re.sub(pattern, replacement, text)
    return text.split()


@pytest.mark.parametrize(("cls", "twin", "internal"), TWINS)
def test_async_twin_has_the_same_methods(cls: type, twin: type, internal: tuple[str, ...]) -> None:
    """The twin has every public method, and no other."""
    assert public_methods(cls).keys() - set(internal) == public_methods(twin).keys()


@pytest.mark.parametrize(
    ("method", "twin"),
    [
        pytest.param(method, public_methods(twin)[name], id=f"{cls.__name__}.{name}")
        for cls, twin, internal in TWINS
        for name, method in public_methods(cls).items()
        if name not in internal
    ],
)
def test_async_twin_has_the_same_signature_and_docstring(method: Any, twin: Any) -> None:
    """A method of the twin has the same parameters, and a whole docstring with the same words."""
    assert parameters(method) == parameters(twin)
    assert words(method) == words(twin)
    returned = inspect.signature(method).return_annotation
    if returned.startswith("Iterator["):
        assert not inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin).return_annotation == f"Async{returned}"
    else:
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin).return_annotation == returned


def test_async_ledger_has_the_same_arguments() -> None:
    """Both are made with the same arguments and defaults."""
    assert parameters(Ledger.__init__) == parameters(AsyncLedger.__init__)
