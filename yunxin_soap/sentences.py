"""Sentences that keep their template, so that a command can show them in another language.

An error's text is English. A command that shows it looks up the template in its catalogue, and
fills it with the same values. A text without values is its own template.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Sentence(str):
    """An English text that knows its template and its values.

    Args:
        template: the text, as for `str.format`, with nothing but a name in each placeholder.
        values: what the names stand for. Only the text of each is kept, so that an error keeps
            nothing alive that it does not show. A sentence, or an error made of one, stays one.
    """

    template: str
    values: Mapping[str, str]

    def __new__(cls, template: str, /, **values: object) -> Self:
        """Fill the template."""
        texts = {name: text_of(value) for name, value in values.items()}
        made = super().__new__(cls, template.format(**texts))
        made.template, made.values = template, texts
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Pickle and copy by the constructor."""
        return (self.template,), dict(self.values)


def text_of(value: object) -> str:
    """Return the text of a value: if it is a sentence, or an error made of one, that sentence."""
    if isinstance(value, BaseException) and value.args:
        value = value.args[0] if isinstance(value.args[0], Sentence) else value
    return value if isinstance(value, Sentence) else str(value)


def joined_by_and(names: Iterable[str]) -> str:
    """Return one or more names, with "and" between them."""
    return reduce(lambda some, each: Sentence("{some} and {each}", some=some, each=each), names)


def to_json(text: str) -> str:
    """Write a text as JSON, from which `from_json` makes the same text or sentence."""
    return json.dumps(_plain(text), ensure_ascii=False)


def _plain(text: str) -> Any:
    if not isinstance(text, Sentence):
        return text
    return [text.template, {name: _plain(value) for name, value in text.values.items()}]


def from_json(written: str) -> str:
    """Return the text or sentence that `to_json` wrote."""
    return _made(json.loads(written))


def _made(plain: Any) -> str:
    if isinstance(plain, str):
        return plain
    template, values = plain
    return Sentence(template, **{name: _made(value) for name, value in values.items()})
