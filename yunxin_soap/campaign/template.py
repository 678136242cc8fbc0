"""A message with placeholders for the columns of a row, as in ``您好{name}，…【签名】``. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from yunxin_soap.campaign.lists.named_rows import NamedRows
from yunxin_soap.campaign.values import are_plain, as_written, check_spec
from yunxin_soap.errors import invalid_request
from yunxin_soap.placeholders import candidates, find_placeholder
from yunxin_soap.sentences import Sentence

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
# Input methods write the colon in its full width.
_DATE_FORMAT = re.compile(r"([^:：]+)[:：](.*%.*)", re.DOTALL)


class _Part(NamedTuple):
    """Some literal text and the placeholder behind it."""

    literal: str
    column: str | None
    """The name of the column; None behind the last text."""
    spec: str = ""
    """How to write a date; empty for none."""
    label: str = ""
    """How an error names the column."""


class Template:
    """A message in which ``{name}`` stands for the row's column of that name.

    Blanks around the name are ignored. ``{due:%m月%d日}`` says how to write a date; see
    `values.check_spec`. ``{{`` and ``}}`` stand for the braces themselves.

    Args:
        text: the message.
        dash_is_empty: whether a lone ``-`` in a column counts as empty.

    Raises:
        InvalidRequest: a brace has no counterpart, or the format of a date is unknown.
    """

    def __init__(self, text: str, *, dash_is_empty: bool = False) -> None:
        if not isinstance(text, str):
            raise invalid_request(
                Sentence("The message must be a string, not {kind}.", kind=type(text).__name__)
            )
        self._text, self._dash_is_empty = text, dash_is_empty
        self._parts: list[_Part] = []
        end, literal = 0, ""
        for token in _TOKEN.finditer(text):
            literal += text[end : token.start()]
            end = token.end()
            if token[1] is not None:
                self._parts.append(_part(literal, token[1].strip()))
                literal = ""
            elif len(token[0]) == 2:
                literal += token[0][0]
            else:
                raise invalid_request(
                    Sentence(
                        "The message has an unpaired {token} at character {start}: write "
                        "{token2} for "
                        "the brace itself.",
                        token=repr(token[0]),
                        start=token.start() + 1,
                        token2=repr(token[0] * 2),
                    )
                )
        self._parts.append(_Part(literal + text[end:], None))

    @property
    def end(self) -> str:
        """The literal text behind the last placeholder."""
        return self._parts[-1].literal

    @property
    def text(self) -> str:
        """The message with its placeholders."""
        return self._text

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the placeholders, in their order."""
        return tuple(part.column for part in self._parts if part.column is not None)

    @property
    def may_have_foreign_placeholders(self) -> bool:
        """Whether the list decides if something is a placeholder in another notation."""
        return any(candidates(self._text, template=True))

    def check_notation(self, columns: Collection[str] = ()) -> None:
        """Check that no placeholder is in another vendor's notation, such as ``${name}``.

        Args:
            columns: the columns of the list. What may be honest text, such as ``#活动#``, is a
                placeholder if it names one of them.

        Raises:
            InvalidRequest: there is one; the message says how to write it.
        """
        found = find_placeholder(self._text, columns, template=True)
        if found is not None:
            known = [each for each in columns if each.strip().casefold() == found.name.casefold()]
            name = known[0] if known else "name" if found.name.startswith("%") else found.name
            raise invalid_request(
                Sentence(
                    "The message has {text}, which is another vendor's notation and would be sent "
                    "as it is: write {{{name}}} for the column {name2} of the list.",
                    text=repr(found.text),
                    name=name,
                    name2=repr(name),
                )
            )

    def fill(self, row: Mapping[str, Any]) -> str:
        """Return the text for a row. Blanks around a value are removed.

        Args:
            row: the row's values by column.

        Raises:
            InvalidRequest: a column is missing, empty, stands for "nothing", as ``#N/A`` does, was
                not decodable, or has a value that nobody would write.
        """
        get, dash_is_empty = row.get, self._dash_is_empty
        return "".join(
            [
                literal
                if column is None
                else literal + as_written(get(column), spec, label, dash_is_empty)
                for literal, column, spec, label in self._parts
            ]
        )

    def fill_plain(self, rows: Sequence[Mapping[str, Any]]) -> list[str] | None:
        """Return what `fill` returns for many rows, found at once.

        Args:
            rows: the values of each row by column.

        Returns:
            The texts; None if a value has to be looked at by itself.
        """
        pieces: list[Iterable[Any]] = []
        for literal, column, spec, _ in self._parts[:-1]:
            assert column is not None
            cells = _column(rows, column)
            if spec or not are_plain(cells):
                return None
            pieces += [repeat(literal, len(rows)), cells]
        pieces.append(repeat(self.end, len(rows)))
        return list(map("".join, zip(*pieces, strict=True)))

    def values(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return what `fill` puts in for each placeholder, by its column and its date format.

        Args:
            row: the row's values by column.

        Raises:
            InvalidRequest: as `fill`.
        """
        return {
            f"{column}:{spec}" if spec else column: as_written(
                row.get(column), spec, label, self._dash_is_empty
            )
            for _, column, spec, label in self._parts
            if column is not None
        }


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    if isinstance(rows, NamedRows):
        return rows.column(name)
    return [row.get(name) for row in rows]


def _part(literal: str, content: str) -> _Part:
    found = _DATE_FORMAT.fullmatch(content)
    column, spec = (found[1].strip(), found[2].strip()) if found else (content, "")
    check_spec(spec)
    label = Sentence("The message's column {column}", column=repr(column))
    return _Part(literal, column, spec, label)
