"""Recognise a response whose bytes match an earlier one, but for the number in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from yunxin_soap.transport.base import Response


@dataclass(frozen=True)
class ResponseTemplate:
    """The bytes around the number in a response that was parsed.

    The same bytes around another number are the same XML around another text, so they need no
    parsing. A response that differs in any other byte is parsed.
    """

    content_type: str
    before: bytes
    after: bytes

    @classmethod
    def learn(cls, result: str, encoding: str, response: Response) -> Self | None:
        """Return the template of a parsed response; None if the number's position is in doubt.

        Args:
            result: the result that the parser found.
            encoding: the encoding that it was read in.
            response: the response that was parsed.
        """
        body, number = response.body, result.encode()
        if not _is_number(number) or encoding.lower() != "utf-8":
            return None
        before, found, after = body.partition(number)
        # A reference, CDATA or an instruction between the digits can produce the number, while the
        # number in plain sight is another one. Of instructions only the XML declaration is none.
        instructions = body.count(b"<?") - body.count(b"<?xml ")
        ambiguous = b"&" in body or b"<!" in body or instructions > 0
        if ambiguous or not found or number in after:
            return None
        return cls(response.content_type, before, after)

    def match(self, response: Response) -> str | None:
        """Return the number in a response that fits the template; None if it does not fit."""
        if response.status != 200 or response.content_type != self.content_type:
            return None
        before, body, after = self.before, response.body, self.after
        if not (body.startswith(before) and body.endswith(after)):
            return None
        number = body[len(before) : -len(after)]
        return number.decode() if _is_number(number) else None


def _is_number(text: bytes) -> bool:
    # Each use of a regular expression takes longer than this, more so after a wait for a socket.
    digits = text.removeprefix(b"-")
    return digits.isdigit() and len(digits) <= 20
