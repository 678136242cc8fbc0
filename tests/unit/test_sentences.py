"""Sentences: texts that keep their template and their values."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict, dataclass

import pytest

from yunxin_soap.errors import InvalidRequest, NotSent, invalid_request
from yunxin_soap.sentences import Sentence


def test_sentence_is_the_filled_template() -> None:
    """To Python it is an ordinary text, and `str` of an error is nothing else."""
    made = Sentence("Line {line}: {{{name}}}", line=3, name="due")
    assert made == "Line 3: {due}"
    assert json.dumps(made) == '"Line 3: {due}"'
    assert type(str(NotSent(made))) is str


def test_values_are_texts_or_sentences() -> None:
    """An error must keep nothing alive that it does not show, such as an exception's frames."""
    why = Sentence("{kind} is bad", kind="x")
    made = Sentence("{error}, {inner}, {other}", error=invalid_request(why), inner=why, other=1.5)
    assert made == "x is bad, x is bad, 1.5"
    assert made.values["error"] is why
    assert made.values["inner"] is why
    assert type(made.values["other"]) is str
    assert type(Sentence("{error}", error=OSError("disk")).values["error"]) is str


@dataclass
class _Holder:
    text: str


@pytest.mark.parametrize(
    "remake",
    [
        copy.copy,
        copy.deepcopy,
        lambda each: pickle.loads(pickle.dumps(each)),
        lambda each: asdict(_Holder(each))["text"],
    ],
    ids=["copy", "deepcopy", "pickle", "asdict"],
)
def test_sentence_survives_copies(remake: type[Sentence]) -> None:
    """Values with braces must not be filled a second time."""
    made = Sentence("{a} of {b}", a="{b}", b=Sentence("{{x}} {c}", c="{"))
    again = remake(made)
    assert again == made == "{b} of {x} {"
    assert again.template == made.template
    assert again.values == made.values


def test_pickled_error_keeps_its_sentence() -> None:
    """A command translates an error from another process, too."""
    error = pickle.loads(pickle.dumps(invalid_request(Sentence("{name} is empty.", name="due"))))
    assert isinstance(error, InvalidRequest)
    assert error.args[0].template == "{name} is empty."
