"""Keeps the password and the phone numbers out of everything that people read."""

from __future__ import annotations

import codecs
import json
import re
from html.entities import codepoint2name

_NUMBER = re.compile(r"(?<![0-9])((?:(?:00)?86)?1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])")

_QUOTES = ("'", '"')
_UNITS = re.compile(r"\\+|[^\\]", re.DOTALL)
_EXCERPT_BYTES = 16384
"""Bytes of an answer that are looked at for an excerpt."""


def summarise_numbers(numbers: str) -> str:
    """Show the first number with its middle hidden, and how many there are.

    >>> summarise_numbers("13900000000,13900000001")
    '139****0000 (2 numbers)'
    """
    first, *others = numbers.split(",")
    masked = f"{first[:3]}****{first[-4:]}" if len(first) > 7 else "****"
    return f"{masked} ({len(others) + 1} numbers)" if others else masked


def truncate_printable(text: str, limit: int = 300) -> str:
    """Bound what a server says, which may be a whole stack trace, and make it printable."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in text[: limit + 1])
    return text if len(text) <= limit else f"{text[:limit]}…"


class Redactor:
    """Masks secrets, however they are encoded, and mobile numbers, in text from elsewhere.

    A proxy's error page may quote the URL, and a server that debugs may quote the request.
    """

    def __init__(self, secret: str) -> None:
        self._patterns: dict[str, re.Pattern[str]] = {}
        self.add_secret(secret)

    def add_secret(self, secret: str) -> None:
        """Mask one more secret from now on."""
        if secret and secret not in self._patterns:
            self._patterns[secret] = re.compile("".join(map(_spellings, _UNITS.findall(secret))))

    def __call__(self, text: str) -> str:
        """Return ``text`` with each secret as ``***`` and numbers as ``139****0000``."""
        return _NUMBER.sub(r"\1****\2", self.redact_secrets(text))

    def redact_secrets(self, text: str) -> str:
        """Return ``text`` with each secret as ``***``, and numbers as they are."""
        # Long ones first, since a short one may be a part of them.
        for _, pattern in sorted(self._patterns.items(), key=lambda item: -len(item[0])):
            text = pattern.sub("***", text)
        return text

    def excerpt(self, content: bytes, limit: int = 1000) -> str:
        """Return the masked start of an answer, on one line; nothing of what is not UTF-8."""
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(content[:_EXCERPT_BYTES])
        except UnicodeDecodeError:
            text = "\x00"
        if "\x00" in text:
            # In another encoding a secret would not be found.
            return f"<{len(content)} bytes that are not UTF-8 text>"
        text = self(text)
        if len(content) > _EXCERPT_BYTES:
            # The cut may have left half a secret at the end.
            text = text[: -16 * max(map(len, self._patterns), default=0) or None]
        return truncate_printable(" ".join(text.split()), limit)


def _spellings(unit: str) -> str:
    """Return a pattern for one character as it is, in URLs, HTML, XML, JSON, a ``repr``, a header.

    Each character may be spelt in its own way, and once more what was spelt so before. No text
    matches in two ways, or else a match that fails would take twice as long with every character;
    so backslashes, which may be doubled, are one unit with those beside them.
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
    # As it is, and as http.client reads a header.
    plain = dict.fromkeys((char, octets.decode("latin-1")))
    return f"(?:(?i:{'|'.join(spellings)})|{'|'.join(map(re.escape, plain))})"
