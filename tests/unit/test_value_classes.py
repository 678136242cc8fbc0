"""The frozen values of a submission: `Submission`, `Receipt`, `Request` and `Response`."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from yunxin_soap import Receipt, Request, Response, Submission

VALUES = [
    Submission(("13900000000",), "text【签名】", "37", "8"),
    Receipt("1", ("13900000000",), "text【签名】", "37", "8", "soap"),
    Request("POST", "/api", {"SOAPAction": "x"}, "a=b", b"text"),
    Response(200, "text/xml", b"<a/>"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_constructor_sets_every_field(value: Any) -> None:
    """The hand-written constructor takes all fields, with their order, names and defaults."""
    fields = dataclasses.fields(value)
    parameters = inspect.signature(type(value)).parameters.values()
    assert [each.name for each in parameters] == [field.name for field in fields]
    for parameter, field in zip(parameters, fields, strict=True):
        has_default = field.default is not dataclasses.MISSING
        assert parameter.default == (field.default if has_default else parameter.empty)
    given = {field.name: object() for field in fields}
    by_name = type(value)(**given)
    by_place = type(value)(*given.values())
    assert vars(by_name) == vars(by_place) == given


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_is_frozen_and_comparable(value: Any) -> None:
    """No field can be set or deleted, and equal values are equal with equal hashes."""
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(value, name)
    other = dataclasses.replace(value)
    assert other == value
    assert other is not value
    if not isinstance(value, Request):  # its headers are a dictionary
        assert hash(other) == hash(value)
    changed = dataclasses.replace(value, **{name: "x"})
    assert changed != value
    assert getattr(changed, name) == "x"


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_survives_pickle_and_copy(value: Any) -> None:
    """Pickle and copy keep every field."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert copy.copy(value) == copy.deepcopy(value) == value
