"""Mask the password and the phone numbers in everything that people read."""

from __future__ import annotations

import codecs
import json
import re
from html.entities import codepoint2name

_NUMBER = re.compile(r"(?<![0-9])((?:(?:00)?86)?1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])")

_QUOTES = ("'", '"')
_UNITS = re.compile(r"\\+|[^\\]", re.DOTALL)
_EXCERPT_BYTES = 16384
"""How many bytes of a response to read for an excerpt."""
_LONGEST_SPELLING = 28
"""The most characters that `_spellings` matches for one character of a secret.

Four octets in UTF-8, each percent-encoded three times, as in ``%2525f0``.
"""


def summarise_numbers(numbers: str) -> str:
    """Return the first number with its middle masked, and how many there are.

    >>> summarise_numbers("13900000000,13900000001")
    '139****0000 (2 numbers)'
    """
    first, *others = numbers.split(",")
    masked = f"{first[:3]}****{first[-4:]}" if len(first) > 7 else "****"
    return f"{masked} ({len(others) + 1} numbers)" if others else masked


def truncate_printable(text: str, limit: int = 300) -> str:
    """Truncate a text from a server, which may be a whole stack trace, and make it printable."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in text[: limit + 1])
    return text if len(text) <= limit else f"{text[:limit]}…"


def quote(text: str, limit: int = 40) -> str:
    """Return the ``repr`` of a text, truncated to ``limit`` characters."""
    return repr(text if len(text) <= limit else f"{text[:limit]}…")


class Redactor:
    """Masks secrets, in any usual encoding, and mobile numbers in texts from elsewhere.

    The error page of a proxy may quote the URL, and a server's debug page the request.
    """

    def __init__(self, secret: str) -> None:
        self._patterns: dict[str, re.Pattern[str]] = {}
        self.add_secret(secret)

    def add_secret(self, secret: str) -> None:
        """Mask one more secret from now on. The empty string is not a secret."""
        if secret and secret not in self._patterns:
            self._patterns[secret] = re.compile("".join(map(_spellings, _UNITS.findall(secret))))

    def __call__(self, text: str) -> str:
        """Return ``text`` with each secret as ``***`` and each number as ``139****0000``."""
        return _NUMBER.sub(r"\1****\2", self.redact_secrets(text))

    def redact_secrets(self, text: str) -> str:
        """Return ``text`` with each secret as ``***``, and with its numbers."""
        # The longest first, since one secret may be part of another.
        for _, pattern in sorted(self._patterns.items(), key=lambda item: -len(item[0])):
            text = pattern.sub("***", text)
        return text

    def excerpt(self, content: bytes, limit: int = 1000) -> str:
        """Return the redacted start of a response on one line.

        Args:
            content: the body. If it is not UTF-8, nothing of it is returned.
            limit: the most characters.
        """
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(content[:_EXCERPT_BYTES])
        except UnicodeDecodeError:
            text = "\x00"
        if "\x00" in text:
            # In another encoding no pattern would match a secret.
            return f"<{len(content)} bytes that are not UTF-8 text>"
        text = self(text)
        if len(content) > _EXCERPT_BYTES:
            # The cut may have left the start of a secret at the end.
            longest = max(map(len, self._patterns), default=0)
            text = text[: max(0, len(text) - _LONGEST_SPELLING * longest)]
        return truncate_printable(" ".join(text.split()), limit)


def _spellings(unit: str) -> str:
    """Return a pattern for one character, plain or as in URLs, HTML, XML, JSON, ``repr``, headers.

    Each character may be encoded on its own, and what is encoded may be encoded again. No text
    matches in two ways: else a failing match would take twice as long for every character. For the
    same reason a run of backslashes, which may be doubled, is one unit.
    """
    char = unit[0]
    code = ord(char)
    octets = char.encode("utf-8", "surrogatepass")
    spellings = [
        "".join(f"%(?:25){{0,2}}{octet:02x}" for octet in octets),
        f"&(?:amp;){{0,2}}#0{{0,6}}{code};",
        f"&(?:amp;){{0,2}}#x0{{0,6}}{code:x};",
        rf"\\{{1,4}}(?:u{code:04x}{'|' + char if char in _QUOTES else ''})",
    ]
    if name := "apos" if char == "'" else codepoint2name.get(code):
        spellings.append(f"&(?:amp;){{0,2}}{name};")
    if char == " ":
        spellings.append(r"\+")
    if char == "\\":
        return rf"(?:(?i:{'|'.join(spellings)}){{{len(unit)}}}|\\{{{len(unit)},{2 * len(unit)}}})"
    if char not in _QUOTES:
        escaped = {json.dumps(char)[1:-1], repr(char)[1:-1]} - {char, f"\\u{code:04x}"}
        spellings += map(re.escape, escaped)
    # Plain, and as http.client decodes a header.
    plain = dict.fromkeys((char, octets.decode("latin-1")))
    return f"(?:(?i:{'|'.join(spellings)})|{'|'.join(map(re.escape, plain))})"
