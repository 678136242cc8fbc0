"""The kinds of faults and their options: what is valid, and the error of each mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from typing_extensions import get_overloads, get_type_hints

from yunxin_soap import ConfigurationError
from yunxin_soap.sandbox import Sandbox, sandbox
from yunxin_soap.sandbox.faults.model import (
    FAULT_TYPES,
    Fault,
    FaultKind,
    option_names,
)


def test_fault_from_text_spaces_between_options_are_ignored() -> None:
    """Spaces after a comma are ignored."""
    assert Fault.from_text("close: when=before, times=2") == Fault.from_options(
        "close", when="before", times=2
    )


def test_fault_from_options_numbers_may_be_one_string() -> None:
    """Numbers may be a list or one string with commas, like recipients."""
    listed = Fault.from_options("close", numbers=["13900000000", "13900000001"])
    assert Fault.from_options("close", numbers="13900000000,13900000001") == listed


def test_faultkind_has_every_fault_class() -> None:
    """`FaultKind` lists exactly the kinds that have a class."""
    assert get_args(FaultKind) == tuple(FAULT_TYPES)


def test_inject_fault_has_a_signature_for_every_kind_with_its_options() -> None:
    """Type checkers know of each kind the options and the stages that its class has."""
    known: dict[str, dict[str, Any]] = {}
    for signature in get_overloads(Sandbox.inject_fault):
        hints = get_type_hints(signature, vars(sandbox))
        (options,) = get_args(hints["options"])
        for kind in get_args(hints["kind"]):
            known[kind] = get_type_hints(options)
    assert {kind: {*hints, "times"} for kind, hints in known.items()} == {
        kind: set(option_names(kind)) for kind in FAULT_TYPES
    }
    assert {kind: get_args(hints["when"]) for kind, hints in known.items()} == {
        kind: get_args(get_type_hints(made)["when"]) for kind, made in FAULT_TYPES.items()
    }


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (
            lambda: Fault.from_options("nothing"),
            "There is no fault 'nothing': use one of delay, close",
        ),
        (
            lambda: Fault.from_options("close", second=1),
            "fault 'close': unknown option 'second'; the options of 'close' are when, times, seed,"
            " numbers, user_code, protocol, text, skip, probability.",
        ),
        (lambda: Fault.from_options("delay", seconds="1"), "seconds must be a number"),
        (
            lambda: Fault.from_options("delay", seconds=-1),
            "fault 'delay': seconds must be at least 0.",
        ),
        (
            lambda: Fault.from_options("delay", seconds=1, when="before"),
            "fault 'delay': when must be after.",
        ),
        (lambda: Fault.from_options("cut", when="unread"), "fault 'cut': when must be after."),
        (
            lambda: Fault.from_options("close", when="unread", text="x"),
            "when='unread' and text exclude each",
        ),
        (
            lambda: Fault.from_options("close", when="unread", protocol="soap"),
            "when='unread' and protocol exclude each",
        ),
        (
            lambda: Fault.from_options("delay"),
            "fault 'delay': seconds or jitter must be given, as in seconds=2.",
        ),
        (lambda: Fault.from_options("refuse"), "fault 'refuse': seconds or jitter must be given"),
        (
            lambda: Fault.from_options("refuse", seconds=1, protocol="soap"),
            "fault 'refuse': unknown option 'protocol', which is for delay, close",
        ),
        (
            lambda: Fault.from_options("refuse", seconds=1, probability=0.5),
            "the options of 'refuse' are when, times, seed, seconds, jitter.",
        ),
        (
            lambda: Fault.from_options("close", seconds=3),
            "fault 'close': unknown option 'seconds', which is for delay, trickle, refuse; the"
            " options of 'close' are when, times,",
        ),
        (lambda: Fault.from_options("hang", jitter=0.3), "which is for delay, trickle, refuse"),
        (
            lambda: Fault.from_options("code", status=503),
            "fault 'code': unknown option 'status', which is for html;",
        ),
        (
            lambda: Fault.from_options("close", code=-5),
            "fault 'close': unknown option 'code', which is for code;",
        ),
        (lambda: Fault.from_options("error", left=5), "which is for balance;"),
        (lambda: Fault.from_text("close:times=1,times=2"), "fault 'close': times is given twice."),
        (
            lambda: Fault.from_options("html", status=429),
            "status=429 means that nothing was sent: use when='before', or a status that leaves the"
            " outcome unknown, such as 408 or 502",
        ),
        (
            lambda: Fault.from_options("html", status=404),
            "status=404 means that nothing was sent: use when='before'",
        ),
        (
            lambda: Fault.from_options("code", code="-00"),
            "code must look like -14 or -6:促销, not '-00'.",
        ),
        (
            lambda: Fault.from_options("code", code="-abc"),
            "code must look like -14 or -6:促销, not '-abc'.",
        ),
        (
            lambda: Fault.from_options("code", code=14),
            "code must look like -14 or -6:促销, not '14'.",
        ),
        (
            lambda: Fault.from_options("code", code="-6:\x01"),
            "code must look like -14 or -6:促销, not '-6:\\x01'.",
        ),
        (lambda: Fault.from_options("code", code=True), "code must be a string"),
        (
            lambda: Fault.from_options("close", numbers=["1390000000x"]),
            "numbers[0] must be 1 to 20 digits after an optional +, not '1390000000x'.",
        ),
        (
            lambda: Fault.from_text("close:numbers=13900000001,13900000002"),
            "+ joins several numbers",
        ),
        (
            lambda: Fault.from_options("close", when="later"),
            "when must be one of unread, before, after.",
        ),
        (
            lambda: Fault.from_options("close", protocol="soap13"),
            "protocol must be one of soap, soap12, http-get, http-post.",
        ),
        (lambda: Fault.from_options("close", numbers=139), "numbers must be an array of strings"),
        (lambda: Fault.from_options("close", times=0), "times must be at least 1."),
        (lambda: Fault.from_options("close", probability=0), "probability must be more than 0."),
        (lambda: Fault.from_options("close", probability=True), "probability must be a number"),
        (lambda: Fault.from_options("html", status=200), "status must be at least 400."),
        (lambda: Fault.from_options("code", code="7"), "code must look like"),
    ],
)
def test_fault_invalid_option_is_named(make: Callable[[], object], named: str) -> None:
    """The error names the option and what is allowed."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("make", "mistake"),
    [
        (lambda: Fault.from_options("delay", seconds=-1), "seconds must be at least 0."),
        (lambda: Fault.from_options("delay", seconds=86401), "seconds must be at most 86400."),
        (lambda: Fault.from_options("close", probability=0), "probability must be more than 0."),
        (lambda: Fault.from_options("close", probability=1.5), "probability must be at most 1."),
    ],
)
def test_fault_limit_is_written_without_a_needless_fraction(
    make: Callable[[], object], mistake: str
) -> None:
    """A limit that is a whole number has no decimal point."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value).endswith(mistake)


@pytest.mark.parametrize("name", ["when", "protocol", "user_code", "text", "numbers"])
def test_fault_lone_surrogate_error_names_the_option(name: str) -> None:
    """Text that UTF-8 cannot encode is named by its option, also where only words are allowed."""
    with pytest.raises(ConfigurationError, match=f"^fault 'close': {name}.*half a character"):
        Fault.from_options("close", **{name: "\ud800"})
