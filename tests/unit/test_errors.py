"""The error tree: outcomes, the two flags, and what survives copying."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap import errors
from yunxin_soap.codes import Category, ResultCode
from yunxin_soap.errors import (
    NotSent,
    OutcomeUnknown,
    Rejected,
    RequestInfo,
    SendError,
    YunxinError,
    invalid_request,
    rejected_by_code,
)


def every_error() -> list[YunxinError]:
    """Return an error of every class, code and setting of the flags."""
    by_class = [
        kind(f"{name}: 说明", safe_to_resend=safe, **{other: flag})
        for name, kind, other in (
            ("not reached", NotSent, "retryable"),
            ("too late", errors.SendExpired, "retryable"),
            ("invalid", errors.InvalidRequest, "retryable"),
            ("on the list", errors.RecipientsSuppressed, "retryable"),
            *((kind.__name__, kind, "temporary") for kind in rejected_kinds()),
        )
        for safe in (False, True)
        for flag in (False, True)
    ]
    return [
        errors.YunxinError("base"),
        errors.ConfigurationError("configuration"),
        errors.LedgerError("ledger"),
        errors.ContentConflict("conflict"),
        errors.NotInLedger("not in the ledger"),
        invalid_request("invalid"),
        OutcomeUnknown("unknown", excerpt="<p>502</p>", http_status=502),
        OutcomeUnknown("unknown"),
        *by_class,
        *(rejected_by_code(int(code)) for code in ResultCode),
        *(rejected_by_code(code) for code in (-2, -4, -99, -999999999)),
        rejected_by_code(-6, "促销"),
        rejected_by_code(-6, ""),
    ]


def rejected_kinds() -> list[type[Rejected]]:
    return [Rejected, *Rejected.__subclasses__()]


def flags(error: YunxinError) -> tuple[bool, bool]:
    return getattr(error, "safe_to_resend", False), getattr(error, "retryable", False)


def annotated(error: YunxinError) -> YunxinError:
    if isinstance(error, SendError):
        error.request = RequestInfo("http://gateway.example/", "soap", 2, "37")
    return error


ALL = every_error()


def same(error: YunxinError, restored: YunxinError) -> None:
    assert type(restored) is type(error)
    assert (str(restored), restored.args) == (str(error), error.args)
    assert vars(restored) == vars(error)


def test_every_error_covers_every_class() -> None:
    """The cases below contain every class of the module but the abstract one."""
    classes = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, YunxinError)
    }
    assert {type(error) for error in ALL} == classes - {SendError}


@pytest.mark.parametrize("with_request", [False, True])
@pytest.mark.parametrize(
    "again",
    [
        *(
            pytest.param(
                lambda e, protocol=protocol: pickle.loads(pickle.dumps(e, protocol)),
                id=f"pickle {protocol}",
            )
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(
            lambda e: YunxinError.from_dict(json.loads(json.dumps(e.to_dict()))), id="JSON"
        ),
        # As the JSON result backends of task queues do.
        pytest.param(lambda e: type(e)(*json.loads(json.dumps(e.args))), id="JSON of args"),
    ],
)
def test_error_copied_is_equal(
    again: Callable[[YunxinError], YunxinError], with_request: bool
) -> None:
    """Pickle, copy, JSON and ``args`` restore class, text and every attribute of every error."""
    for error in every_error():
        same(error, again(annotated(error) if with_request else error))


@pytest.mark.parametrize("error", ALL, ids=lambda error: f"{type(error).__name__} {flags(error)}")
def test_error_rebuilt_from_its_text_is_not_safe(error: YunxinError) -> None:
    """An error that is rebuilt from its text alone has lost both flags."""
    rebuilt = type(error)(str(error))
    assert type(rebuilt) is type(error)
    assert str(rebuilt) == str(error)
    assert flags(rebuilt) == (False, False)


def test_error_args_set_change_the_text_only() -> None:
    """Code that prefixes the first argument of an error, as some do, loses no attribute."""
    error = rejected_by_code(-8)
    before = error.to_dict()
    error.args = (f"job 5: {error.args[0]}", *error.args[1:])
    assert error.to_dict() == {**before, "message": f"job 5: {before['message']}"}
    assert repr(error) == f"ChannelRejected({str(error)!r})"


def test_error_of_a_subclass_has_the_arguments_that_it_passed_on() -> None:
    """A subclass with another constructor is not given a dictionary where it expects none."""

    class Late(NotSent):
        """As a user may define it."""

        def __init__(self, message: str, order: int) -> None:
            super().__init__(message, retryable=True)
            self.order = order

    error = Late("late", 5)
    assert error.args == ("late",)
    error.args = ("later", 6)
    assert error.args == ("later", 6)
    restored = copy.copy(error)
    assert (restored.args, restored.order, restored.retryable) == (("later", 6), 5, True)


@given(st.sampled_from(ALL), st.data())
def test_error_from_dict_with_parts_missing_is_never_safer(
    error: YunxinError, data: st.DataObject
) -> None:
    """An error rebuilt from a part of its dictionary is at most as safe as it was."""
    whole = error.to_dict()
    kept = data.draw(st.sets(st.sampled_from(sorted(whole)))) | {"type"}
    rebuilt = YunxinError.from_dict({name: whole[name] for name in kept})
    for now, before in zip(flags(rebuilt), flags(error), strict=True):
        assert now <= before
    if "safe_to_resend" not in kept:
        assert not flags(rebuilt)[0]
    if "retryable" not in kept:
        assert not flags(rebuilt)[1]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@given(st.sampled_from(ALL), st.data())
def test_error_from_dict_with_invalid_entries_is_never_safer(
    error: YunxinError, data: st.DataObject
) -> None:
    """A value of the wrong type counts as absent; only a literal true sets a flag."""
    whole = error.to_dict()
    broken = data.draw(
        st.dictionaries(
            st.sampled_from(sorted({*whole, "safe_to_resend", "retryable"} - {"type"})),
            _JSON.filter(lambda value: value is not True),
        )
    )
    rebuilt = YunxinError.from_dict({**whole, **broken})
    for now, before in zip(flags(rebuilt), flags(error), strict=True):
        assert now <= before
    assert json.dumps(rebuilt.to_dict())


@pytest.mark.parametrize("value", [1, "true", "True", [True], {"x": True}, None])
def test_error_from_dict_flag_that_is_not_true_is_false(value: Any) -> None:
    """Nothing but a JSON true makes an error safe or retryable."""
    data = {"type": "NotSent", "message": "x", "safe_to_resend": value, "retryable": value}
    assert flags(YunxinError.from_dict(data)) == (False, False)


def test_error_from_dict_retryable_is_not_taken_from_temporary() -> None:
    """A rejection that was marked as not retryable stays so, whatever its cause."""
    error = rejected_by_code(-8)
    error.retryable = False
    rebuilt = YunxinError.from_dict(json.loads(json.dumps(error.to_dict())))
    same(error, rebuilt)


def test_error_from_dict_unknown_outcome_is_never_safe() -> None:
    """No entry can make an unknown outcome safe."""
    data = {"type": "OutcomeUnknown", "message": "x", "safe_to_resend": True, "retryable": True}
    assert flags(YunxinError.from_dict(data)) == (False, False)


@pytest.mark.parametrize("kind", ["Exception", "SystemExit", "Mapping", "", None, 5, ["NotSent"]])
def test_error_from_dict_other_type_raises(kind: Any) -> None:
    """``from_dict`` builds nothing but the package's own errors."""
    with pytest.raises(ValueError, match="not an error of yunxin_soap"):
        YunxinError.from_dict({"type": kind, "message": "x"})


def test_error_to_dict_of_a_subclass_names_the_public_class() -> None:
    """A subclass from elsewhere is written as the public class that it extends."""

    class LostLease(errors.LedgerError):
        """As a module of the package defines for itself."""

    data = LostLease("lost").to_dict()
    assert data == {"type": "LedgerError", "message": "lost"}
    assert type(YunxinError.from_dict(data)) is errors.LedgerError


def test_error_to_dict_has_every_attribute() -> None:
    """The dictionary has the outcome, both flags, the request and the details of the class."""
    assert annotated(rejected_by_code(-6, "促销")).to_dict() == {
        "type": "ContentRejected",
        "message": str(rejected_by_code(-6, "促销")),
        "outcome": "rejected",
        "safe_to_resend": True,
        "retryable": False,
        "request": {
            "endpoint": "http://gateway.example/",
            "protocol": "soap",
            "recipients": 2,
            "channel": "37",
        },
        "code": -6,
        "category": "content",
        "description_zh": "含有关键字“促销”",
        "description_en": "the text contains the banned word '促销'",
        "keyword": "促销",
        "http_status": None,
        "temporary": False,
    }
    assert OutcomeUnknown("u", excerpt="a", http_status=502).to_dict() == {
        "type": "OutcomeUnknown",
        "message": "u",
        "outcome": "unknown",
        "safe_to_resend": False,
        "retryable": False,
        "request": None,
        "excerpt": "a",
        "http_status": 502,
    }


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_error_str_is_one_stable_line(error: YunxinError) -> None:
    """The text of an error is one line and does not depend on the object."""
    assert len(str(error).splitlines()) == 1
    assert str(error) == str(copy.copy(error))
    assert " at 0x" not in str(error)


def test_error_outcomes_are_the_first_split() -> None:
    """Each class that says how a submission ended has its outcome; the others have none."""
    assert issubclass(errors.InvalidRequest, ValueError)
    assert {kind.outcome.value for kind in (errors.InvalidRequest, NotSent)} == {"not_sent"}
    assert {kind.outcome.value for kind in rejected_kinds()} == {"rejected"}
    assert OutcomeUnknown.outcome.value == "unknown"
    assert {each.value for each in errors.Outcome} == {
        "accepted",
        "rejected",
        "not_sent",
        "unknown",
    }


def test_error_configuration_is_not_a_send_error() -> None:
    """``except SendError`` does not swallow a configuration mistake."""
    for kind in (errors.ConfigurationError, errors.LedgerError):
        assert not issubclass(kind, SendError)
        assert not issubclass(kind, ValueError)


@pytest.mark.parametrize(
    "kind",
    [errors.InvalidRequest, NotSent, OutcomeUnknown, *rejected_kinds()],
    ids=lambda kind: kind.__name__,
)
def test_error_flags_default_to_false(kind: type[SendError]) -> None:
    """An error is neither safe nor retryable unless its raiser said so."""
    assert flags(kind("x")) == (False, False)


def test_error_of_a_broken_rule_is_safe_and_not_retryable() -> None:
    """Nothing was sent for an invalid request, but repeating it unchanged cannot help."""
    assert flags(invalid_request("x")) == (True, False)


@given(st.sampled_from([int(code) for code in ResultCode] + [-2, -99]), st.text())
def test_rejected_by_code_keeps_code_and_category(code: int, keyword: str) -> None:
    """The error of a code is in one category, and is retryable exactly if it is temporary."""
    error = rejected_by_code(code, keyword if code == -6 else None)
    assert error.code == code
    assert error.category in Category
    assert error.retryable is error.temporary
    assert str(error).isprintable()


@given(st.text())
def test_rejected_by_code_keyword_is_truncated_and_printable(keyword: str) -> None:
    """A keyword from anywhere is printable and has at most 100 characters."""
    error = rejected_by_code(-6, keyword * 50)
    assert error.keyword is not None
    assert error.keyword.isprintable()
    assert len(error.keyword) <= 101
