"""Keeps the password and the phone numbers out of everything that people read."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote, quote_plus

_NUMBER = re.compile(r"(?<![0-9])(1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])")


def shorten_numbers(numbers: str) -> str:
    """Show the first number with its middle hidden, and how many there are.

    >>> shorten_numbers("13900000000,13900000001")
    '139****0000 (2 numbers)'
    """
    first, *others = numbers.split(",")
    masked = f"{first[:3]}****{first[-4:]}" if len(first) > 7 else "****"
    return f"{masked} ({len(others) + 1} numbers)" if others else masked


class Redactor:
    """Masks one secret, however it is encoded, and mobile numbers, in text from elsewhere.

    A proxy's error page may quote the URL, and a server that debugs may quote the request.
    """

    def __init__(self, secret: str) -> None:
        # A longer form is masked before a shorter one that it contains.
        forms = {
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
            html.escape(secret),
            html.escape(secret, quote=False),
            json.dumps(secret)[1:-1],
            repr(secret)[1:-1],
        }
        self._forms = sorted((form for form in forms if form), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return ``text`` with the secret as ``***`` and numbers as ``139****0000``."""
        for form in self._forms:
            text = text.replace(form, "***")
        return _NUMBER.sub(r"\1****\2", text)

    def excerpt(self, content: bytes, limit: int = 300) -> str:
        """Return the masked start of an answer, on one line."""
        text = self(content.decode("utf-8", "replace"))
        text = " ".join(text.split())
        return text if len(text) <= limit else f"{text[:limit]}…"
