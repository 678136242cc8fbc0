"""Mask the password and the phone numbers in everything that people read."""

from __future__ import annotations

import base64
import codecs
import re
import sys
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from html.entities import html5
from types import FrameType
from typing import NamedTuple

_NUMBER = re.compile(r"(?<![0-9])((?:(?:00)?86)?1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])")

_MAX_TEXT = 16384
"""How many characters of a text are read and shown. A server may send a million."""
_LONGEST_SPELLING = 100
"""The most characters that one character of a secret has in two layers of encoding.

Four octets in UTF-8, each percent-encoded, and each character of that as in ``\\u0025``, or in
base64 in the end.
"""
_MIN_SECRET = 4
"""The shortest secret that is masked inside a word. A shorter one is masked as a word of its own.

If every ``a`` of a page were masked, each reader could guess the ``a``, and nothing else.
"""
_LAYERS = 3
"""How many encodings around a secret are undone, one after another."""


def summarise_numbers(numbers: str) -> str:
    """Return the first number with its middle masked, and how many there are.

    >>> summarise_numbers("13900000000,13900000001")
    '139****0000 (2 numbers)'
    """
    first, *others = numbers.split(",")
    # What is no number may be a password in the wrong place.
    masked = f"{first[:3]}****{first[-4:]}" if len(first) > 7 and first.isdecimal() else "****"
    return f"{masked} ({len(others) + 1} numbers)" if others else masked


def truncate_printable(text: str, limit: int = 300) -> str:
    """Truncate a text from a server, which may be a whole stack trace, and make it printable."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in text[: limit + 1])
    return text if len(text) <= limit else f"{text[:limit]}…"


def quote(text: str, limit: int = 40) -> str:
    """Return the ``repr`` of a text, truncated to ``limit`` characters."""
    return repr(text if len(text) <= limit else f"{text[:limit]}…")


def clear_frames(error: BaseException) -> None:
    """Clear the local variables of all frames that ended with an error, or with one in its chain.

    A debugger, a test runner or an error reporter may print them, and some contain the password.
    The tracebacks keep their lines. Call this where the error is handled: running frames, and the
    errors that a caller was handling before, are left as they are.
    """
    for each in _chain(error):
        traceback.clear_frames(each.__traceback__)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error with its causes, contexts and groups, but without those of the caller.

    An error that the caller was handling, when it called the package, is its own.
    """
    callers = set(_callers(error))
    pending: list[object] = [error]
    found: dict[int, BaseException] = {}
    while pending:
        each = pending.pop()
        if not isinstance(each, BaseException) or id(each) in found:
            continue
        trace = each.__traceback__
        if trace is None or trace.tb_frame not in callers:
            found[id(each)] = each
            pending += (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
    return list(found.values())


def _callers(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames that called the one where an error is handled."""
    frame = error.__traceback__.tb_frame.f_back if error.__traceback__ else None
    while frame is not None:
        yield frame
        frame = frame.f_back


_MAX_SECRETS = 1000
"""Callers of ``client.service`` may use any number of accounts."""
_OWN_SECRETS = 10


class Redactor:
    """Masks secrets, in any usual encoding, and mobile numbers in texts from elsewhere.

    The error page of a proxy may quote the URL, and a server's debug page the request. A secret is
    found plain, percent-encoded, with the references of XML and HTML, with the escapes of JSON and
    of ``repr``, in base64 at any position, and in up to three of these around each other. Octets of
    UTF-8, GBK and (the secret itself) UTF-16 are found, also where they were read as Latin-1.
    """

    def __init__(self, *secrets: str) -> None:
        self._secrets: dict[str, re.Pattern[str]] = {}
        self.add_secret(*secrets)

    def add_secret(self, *secrets: str) -> None:
        """Mask more secrets from now on. The empty string is not a secret.

        A secret of fewer than four characters is masked only where no letter or digit is beside it.
        The first ten secrets, which are those of the client itself, and the last 990 are masked.
        """
        for secret in secrets:
            if secret and secret not in self._secrets:
                self._secrets[secret] = _plain_pattern(secret)
                if len(self._secrets) > _MAX_SECRETS:
                    self._secrets.pop(list(self._secrets)[_OWN_SECRETS], None)

    def __call__(self, text: str) -> str:
        """Return ``text`` with each secret as ``***`` and each number as ``139****0000``.

        A text of more than 16,384 characters is truncated.
        """
        shown = _NUMBER.sub(r"\1****\2", self.redact_secrets(text[:_MAX_TEXT]))
        if len(text) <= _MAX_TEXT:
            return shown
        # The cut may have left the start of a secret at the end.
        longest = max(map(len, list(self._secrets)), default=0)
        return f"{shown[: max(0, len(shown) - _LONGEST_SPELLING * longest)]}…"

    def redact_secrets(self, text: str) -> str:
        """Return ``text`` with each secret as ``***``, and with its numbers."""
        pieces, position = [], 0
        for start, end in _merge(self._find(text)):
            pieces += [text[position:start], "***"]
            position = end
        return "".join([*pieces, text[position:]])

    def _find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the secrets are in a text, in whatever encoding."""
        secrets = list(self._secrets.items())  # another thread may add one
        seen = {text}
        layers = [_Layer(text)] if secrets else []
        for depth in range(_LAYERS + 1):
            for layer in layers:
                for secret, pattern in secrets:
                    # What was no base64 becomes octets that contain any short text somewhere.
                    if len(secret) >= _MIN_SECRET or not layer.is_base64:
                        yield from map(layer.locate, _occurrences(pattern, layer.text))
            if depth < _LAYERS:
                layers = [each for layer in layers for each in layer.decode(seen)]

    def redact_chain(self, error: BaseException, own: type[BaseException]) -> None:
        """Clear the frames of an error, and remove what shows a secret from it and from its chain.

        The text of an HTTP library's error may quote the URL, or what a proxy sent: such a cause or
        context is cut off. An error that cannot be cut off has its arguments masked. Call this
        where the error is handled, as `clear_frames`.

        Args:
            error: the error.
            own: the class of errors whose texts are masked already.
        """
        clear_frames(error)
        chain = _chain(error)
        others = [each for each in chain if not isinstance(each, own)]
        shown = {id(each) for each in others if self._shows_secret(each)}
        for each in chain:
            if id(each.__cause__) in shown:
                each.__cause__ = None
            if id(each.__context__) in shown:
                each.__context__ = None
            if id(each) in shown:
                each.args = tuple(map(self._redact_arg, each.args))

    def _redact_arg(self, arg: object) -> object:
        if isinstance(arg, str):
            return self(arg)
        if isinstance(arg, (bytes, bytearray)):
            return b"***"
        return arg

    def _shows_secret(self, error: BaseException) -> bool:
        """Return whether the text of an error or of its attributes contains a secret."""
        try:
            text = f"{error} {error!r} {vars(error)!r}"
        except Exception:  # noqa: BLE001 - an error of any library, which may print itself badly
            return True
        return len(text) > _MAX_TEXT or self.redact_secrets(text) != text

    def excerpt(self, content: bytes, limit: int = 1000) -> str:
        """Return the redacted start of a response on one line.

        Args:
            content: the body. If it is not UTF-8, nothing of it is returned.
            limit: the most characters.
        """
        try:
            # A character has up to four bytes. One more than are shown tells that there are more.
            text = codecs.getincrementaldecoder("utf-8")().decode(content[: 4 * (_MAX_TEXT + 1)])
        except UnicodeDecodeError:
            text = "\x00"
        if "\x00" in text:
            # In another encoding no secret would be found.
            return f"<{len(content)} bytes that are not UTF-8 text>"
        return truncate_printable(" ".join(self(text).split()), limit)


def _plain_pattern(secret: str) -> re.Pattern[str]:
    """Return the pattern of a secret whose characters are plain, or octets read as Latin-1."""
    wide = (secret.encode(each, "surrogatepass") for each in ("utf-16-le", "utf-16-be"))
    spellings = ["".join(map(_spellings, secret))]
    spellings += [re.escape(octets.decode("latin-1")) for octets in wide]
    pattern = f"(?:{'|'.join(spellings)})"
    if len(secret) < _MIN_SECRET:
        pattern = rf"(?<![^\W_]){pattern}(?![^\W_])"
    return re.compile(pattern)


def _spellings(char: str) -> str:
    """Return a pattern for one character, plain or as octets of UTF-8 or GB 18030 (so of GBK)."""
    if char == " ":
        return "[ +]"  # a plus in forms
    octets = [char.encode("utf-8", "surrogatepass"), char.encode("gb18030", "ignore")]
    spellings = {char, *(each.decode("latin-1") for each in octets if each)}
    longest_first = sorted(spellings, key=lambda each: (-len(each), each))
    return f"(?:{'|'.join(map(re.escape, longest_first))})"


def _occurrences(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of all matches, also of those that overlap."""
    found = pattern.search(text)
    while found is not None:
        yield found.span()
        found = pattern.search(text, found.start() + 1)


def _merge(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort spans, and join those that overlap."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# --- undoing encodings


# Each matches a bounded number of characters, and in one way only: so decoding takes linear time.
# What is an octet becomes a character of Latin-1, since it may be UTF-8 or any other encoding.
_PERCENT = re.compile("%[0-9a-fA-F]{2}")
_REFERENCE = re.compile("&(?:#[0-9]{1,12}|#[xX][0-9a-fA-F]{1,12}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}


def _from_percent(token: str) -> str:
    return chr(int(token[1:], 16))


def _from_reference(token: str) -> str:
    name = token[1:-1]
    if name[0] != "#":
        return html5.get(f"{name};", token)
    code = int(f"0{name[1:]}", 16) if name[1] in "xX" else int(name[1:])
    return chr(code) if code <= sys.maxunicode else token


def _from_escape(token: str) -> str:
    kind, digits = token[1], token[2:]
    if kind not in "uUx" or not digits:
        return _ESCAPED.get(kind, kind)
    if len(token) == 12:
        return bytes.fromhex(digits.replace("\\u", "")).decode("utf-16-be")
    code = int(digits, 16)
    return chr(code) if code <= sys.maxunicode else token


_DECODERS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (_PERCENT, _from_percent),
    (_REFERENCE, _from_reference),
    (_ESCAPE, _from_escape),
)


class _Token(NamedTuple):
    """A part of a text that was decoded."""

    start: int
    end: int
    source_start: int
    source_end: int


class _Layer:
    """A text with up to `_LAYERS` encodings undone, and where each part of it comes from."""

    def __init__(
        self,
        text: str,
        parent: _Layer | None = None,
        tokens: Sequence[_Token] = (),
        *,
        is_base64: bool = False,
    ) -> None:
        self.text = text
        self.is_base64 = is_base64
        self._parent = parent
        self._tokens = tokens

    def decode(self, seen: set[str]) -> Iterator[_Layer]:
        """Yield the text with one more encoding undone, for each that it contains.

        Args:
            seen: the texts that were found before. They are omitted, the others are added.
        """
        for pattern, decode in _DECODERS:
            layer = self._replace(pattern, decode)
            if layer.text not in seen:
                seen.add(layer.text)
                yield layer
        runs = list(_BASE64.finditer(self.text))
        for shift in range(4 if runs else 0):
            # A letter before it may look like the start of a run.
            layer = self._decode_base64(runs, shift)
            if layer.text not in seen:
                seen.add(layer.text)
                yield layer

    def _replace(self, pattern: re.Pattern[str], decode: Callable[[str], str]) -> _Layer:
        pieces: list[str] = []
        tokens: list[_Token] = []
        position = length = 0
        for found in pattern.finditer(self.text):
            start, end = found.span()
            decoded = decode(found[0])
            pieces += (self.text[position:start], decoded)
            length += start - position
            tokens.append(_Token(length, length + len(decoded), start, end))
            position, length = end, length + len(decoded)
        text = "".join([*pieces, self.text[position:]])
        return _Layer(text, self, tokens, is_base64=self.is_base64)

    def _decode_base64(self, runs: Iterable[re.Match[str]], shift: int) -> _Layer:
        pieces: list[str] = []
        tokens: list[_Token] = []
        length = 0
        for run in runs:
            decoded = _from_base64(run[0][shift:])
            pieces += (decoded, "\n")
            tokens.append(_Token(length, length + len(decoded), *run.span()))
            length += len(decoded) + 1
        return _Layer("".join(pieces), self, tokens, is_base64=True)

    def locate(self, span: tuple[int, int]) -> tuple[int, int]:
        """Return where a part of this text comes from in the text that nothing was undone in."""
        if self._parent is None:
            return span
        start, end = span
        return self._parent.locate((self._source(start)[0], self._source(end - 1)[1]))

    def _source(self, position: int) -> tuple[int, int]:
        """Return the start and the end of what became the character at a position."""
        index = bisect_right(self._tokens, position, key=lambda token: token.start) - 1
        if index < 0:
            return position, position + 1
        token = self._tokens[index]
        if position < token.end:
            return token.source_start, token.source_end
        source = token.source_end + position - token.end
        return source, source + 1


def _from_base64(run: str) -> str:
    digits = run.rstrip("=").replace("-", "+").replace("_", "/")
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return base64.b64decode(digits + "=" * (-len(digits) % 4)).decode("latin-1")
