"""URL-encoded fields as ASP.NET reads them, query strings and posted forms alike."""

from __future__ import annotations

import html
import re

_TOKEN = re.compile(rb"%u([0-9A-Fa-f]{4})|%([0-9A-Fa-f]{2})|(\+)|[^%+]+|%")
_DANGEROUS = re.compile(r"<[A-Za-z!/?]|&#")


def parse(raw: bytes, encoding: str = "utf-8") -> dict[str, str]:
    """Return the fields under their names in lower case; a repeated one is joined by commas."""
    values: dict[str, list[str]] = {}
    for part in raw.split(b"&"):
        name, equals, value = part.partition(b"=")
        if equals:
            values.setdefault(url_decode(name, encoding).lower(), []).append(
                url_decode(value, encoding)
            )
    return {name: ",".join(several) for name, several in values.items()}


def url_decode(raw: bytes, encoding: str = "utf-8") -> str:
    """Undo ``%XX``, ``+`` and .NET's own ``%uXXXX``; what is none of these stays as it is.

    >>> url_decode(b"a+b%2B%zz%u60a8")
    'a b+%zz您'
    """
    decoded: list[str] = []
    pending = bytearray()
    for token in _TOKEN.finditer(raw):
        code_unit, byte, plus = token.groups()
        if code_unit:
            decoded += [pending.decode(encoding, "replace"), chr(int(code_unit, 16))]
            pending.clear()
        elif byte:
            pending.append(int(byte, 16))
        else:
            pending += b" " if plus else token[0]
    decoded.append(pending.decode(encoding, "replace"))
    # Two %u in a row may be the halves of one character.
    return "".join(decoded).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def danger(name: str, value: str) -> str | None:
    """Say what ASP.NET's request validation finds dangerous in a value; None if it passes."""
    found = _DANGEROUS.search(value)
    if found is None:
        return None
    start, end = max(found.start() - 10, 0), found.start() + 20
    before = "..." if start else ""
    after = "..." if end < len(value) else ""
    return f'{name}="{before}{value[start:end]}{after}"'


def html_encode(text: str) -> str:
    """Escape as .NET's ``HttpUtility.HtmlEncode`` does."""
    return html.escape(text).replace("&#x27;", "&#39;")
