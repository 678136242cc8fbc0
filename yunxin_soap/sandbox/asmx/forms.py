"""Parse URL-encoded fields as ASP.NET does: query strings and posted forms."""

from __future__ import annotations

import html
import re

_TOKEN = re.compile(rb"%u([0-9A-Fa-f]{4})|%([0-9A-Fa-f]{2})|(\+)|[^%+]+|%")
_DANGEROUS = re.compile(r"<[A-Za-z!/?]|&#")


def parse(raw: bytes, encoding: str = "utf-8") -> dict[str, str]:
    """Parse URL-encoded fields.

    Args:
        raw: the query string or the form.
        encoding: the character encoding of the escaped bytes.

    Returns:
        The values by the name of their field in lower case. As in ASP.NET, a comma joins the
        values of a field that occurs more than once.
    """
    values: dict[str, list[str]] = {}
    for part in raw.split(b"&"):
        name, equals, value = part.partition(b"=")
        if equals:
            values.setdefault(url_decode(name, encoding).lower(), []).append(
                url_decode(value, encoding)
            )
    return {name: ",".join(several) for name, several in values.items()}


def url_decode(raw: bytes, encoding: str = "utf-8") -> str:
    """Decode ``%XX``, ``+`` and .NET's ``%uXXXX``; anything else stays as it is.

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
    # Two %uXXXX in a row may be the surrogate pair of one character.
    return "".join(decoded).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def find_danger(name: str, value: str) -> str | None:
    """Return the part of a value that ASP.NET's request validation calls dangerous.

    Args:
        name: the field, for the returned text.
        value: its value.

    Returns:
        The excerpt as ASP.NET's error message quotes it; None if the value is valid.
    """
    found = _DANGEROUS.search(value)
    if found is None:
        return None
    start, end = max(found.start() - 10, 0), found.start() + 20
    before = "..." if start else ""
    after = "..." if end < len(value) else ""
    return f'{name}="{before}{value[start:end]}{after}"'


def html_encode(text: str) -> str:
    """Escape a text as .NET's ``HttpUtility.HtmlEncode`` does."""
    return html.escape(text).replace("&#x27;", "&#39;")
