"""Numbers, text and signature: normalised and checked before anything is sent.

Every function is pure, and every error is an `InvalidRequest` that names the offending item.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import TypeGuard

from yunxin_soap.errors import InvalidRequest

MAINLAND_MOBILE = re.compile(r"1[3-9][0-9]{9}")
"""A mobile number of mainland China, without a country code."""
MAINLAND_MOBILES = re.compile(rf"{MAINLAND_MOBILE.pattern}(?:,{MAINLAND_MOBILE.pattern})*")
"""Several, as the wire wants them."""
DEFAULT_MAX_RECIPIENTS = 500
"""Numbers in one submit, from the vendor's manual."""
MAX_RECIPIENTS = 1000
"""The most that the result codes -9 and -10 speak of."""

_MAX_ITEMS = 100 * MAX_RECIPIENTS
"""Recipients looked at, duplicates included."""

_COUNTRY_CODE = re.compile(r"\A(?:\+|00)?86(?=1[3-9][0-9]{9}\Z)")
# Full-width forms that input methods produce; NFKC would also turn ① and ½ into digits.
_FULL_WIDTH = str.maketrans("".join(map(chr, range(0xFF10, 0xFF1A))) + "＋，－、", "0123456789+,-,")
_HYPHENS = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DANGEROUS = re.compile(r"<[A-Za-z!/?]|&#")
_SIGNATURE = re.compile(r"【([^【】]*)】\Z")
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Submission:
    """One submit as it goes out: everything but the credentials."""

    recipients: tuple[str, ...]
    message: str
    channel: str
    extension: str

    def __repr__(self) -> str:
        """Show no number and no text: it may end up in a log."""
        return f"Submission(recipients=<{len(self.recipients)}>, channel={self.channel!r})"


def normalise_recipients(
    recipients: str | int | Iterable[str | int],
    *,
    pattern: re.Pattern[str] = MAINLAND_MOBILE,
    limit: int = DEFAULT_MAX_RECIPIENTS,
) -> tuple[str, ...]:
    """Return the numbers as the wire wants them: bare digits, each once, in the first order.

    Spaces, hyphens, invisible marks and full-width digits are normalised, and the country code
    86 (``+86``, ``0086``) is dropped from a mainland number. A string may hold several numbers
    joined by commas, ASCII or Chinese, or on lines of their own.

    Args:
        recipients: one number, several joined by commas, or an iterable of either.
        pattern: what a normalised number must match in full.
        limit: the most numbers after duplicates are dropped.

    Raises:
        InvalidRequest: no number, too many, or one that does not match; it is named by its
            place (from 1) and as it was given.
    """
    if pattern is MAINLAND_MOBILE:
        already = dict.fromkeys(_already_normal(recipients))
        if 0 < len(already) <= limit:
            return tuple(already)
    normalised: dict[str, None] = {}
    for position, item in enumerate(_items(recipients), 1):
        number = _bare(item)
        if not number:
            raise InvalidRequest(f"Recipient {position} is empty: leave it out, or give a number.")
        if not pattern.fullmatch(number):
            raise InvalidRequest(
                f"Recipient {position}, {_quote(item)}, is not a"
                f" {'mainland mobile ' if pattern is MAINLAND_MOBILE else ''}number"
                f" (it must match {pattern.pattern}): mend it or leave it out."
            )
        normalised[number] = None
        # At once, since an iterable need not end.
        if len(normalised) > limit or position > _MAX_ITEMS:
            raise InvalidRequest(
                f"There are more than {limit} recipients, the most that one submit takes:"
                " split them over several submits."
            )
    if not normalised:
        raise InvalidRequest("There is no recipient: give at least one number.")
    return tuple(normalised)


def _already_normal(recipients: str | int | Iterable[str | int]) -> list[str]:
    """Take the usual input apart, in which nothing is to be normalised; any other gives nothing."""
    joined = recipients
    if isinstance(recipients, (list, tuple)) and len(recipients) <= _MAX_ITEMS:
        try:
            joined = ",".join(recipients)
        except TypeError:
            return []
    if isinstance(joined, str) and MAINLAND_MOBILES.fullmatch(joined):
        return joined.split(",")
    return []


def _items(recipients: str | int | Iterable[str | int]) -> Iterable[str]:
    if isinstance(recipients, str) or _is_integer(recipients):
        recipients = [recipients]
    elif isinstance(recipients, (bytes, bytearray, Mapping)) or not isinstance(
        recipients, Iterable
    ):
        raise InvalidRequest(
            "Recipients must be a string or an iterable of strings, not"
            f" {type(recipients).__name__}."
        )
    for position, item in enumerate(recipients, 1):
        if not isinstance(item, str) and not _is_integer(item):
            raise InvalidRequest(
                f"Recipient {position} is of type {type(item).__name__}: give it as a string."
            )
        if _is_integer(item) and item < 0:
            raise InvalidRequest(f"Recipient {position}, {item}, is negative: mend it.")
        for part in str(item).translate(_FULL_WIDTH).split(","):
            yield from [line for line in part.splitlines() if line.strip()] or [part]


def _is_integer(item: object) -> TypeGuard[int]:
    """Whether it is a whole number of any kind, such as NumPy's, and no truth value."""
    return isinstance(item, Integral) and not isinstance(item, bool)


def _bare(item: str) -> str:
    kept = "".join(
        character for character in item if not _invisible(character) and character not in _HYPHENS
    )
    return _COUNTRY_CODE.sub("", kept)


def _invisible(character: str) -> bool:
    """Whether a character has no width of its own that could be seen."""
    # Cf: marks such as a phone's address book adds around a copied number.
    return character.isspace() or unicodedata.category(character) == "Cf"


def rstrip_invisible(text: str) -> str:
    """Return a text without what cannot be seen at its end."""
    length = len(text)
    while length and _invisible(text[length - 1]):
        length -= 1
    return text[:length]


def normalise_message(message: str, signature: str | None = None) -> str:
    """Return the text to send: ``message``, with the signature appended if it has none.

    The vendor's manual wants the signature at the end: the last character must be ``】``.

    Args:
        message: the text; every character counts, also spaces at its start.
        signature: the bare signature, as `normalise_signature` returns it, or None.

    Raises:
        InvalidRequest: the text is empty, has no signature, has something behind it, or holds a
            character that XML cannot carry.
    """
    if not isinstance(message, str):
        raise InvalidRequest(f"The message must be a string, not {type(message).__name__}.")
    check_characters(message, "The message")
    if not rstrip_invisible(message):
        raise InvalidRequest("The message is empty: give a text.")
    found = _SIGNATURE.search(message)
    if found is None:
        message = _append_signature(message, signature)
        found = _SIGNATURE.search(message)
        assert found is not None
    if not found[1].strip():
        raise InvalidRequest(
            "The message ends in 【】 with no signature between: put one there (-5 签名不正确)."
        )
    if not message[: found.start()].strip():
        raise InvalidRequest("The message is nothing but its signature: give a text before it.")
    return message


def _append_signature(message: str, signature: str | None) -> str:
    seen = rstrip_invisible(message)
    if _SIGNATURE.search(seen):
        raise InvalidRequest(
            f"The message has {len(message) - len(seen)} invisible character(s) behind its"
            " signature, and the last character must be 】: remove them."
        )
    if signature is None:
        raise InvalidRequest(
            "The message does not end in a signature: end it in 【…】, or set one to be appended"
            " (signature=, YUNXIN_SIGNATURE; -5 签名不正确)."
        )
    if f"【{signature}】" in message:
        raise InvalidRequest(
            f"The message has its signature 【{signature}】 before its end, and the last"
            " character must be 】: move it there."
        )
    return f"{message}【{signature}】"


def normalise_signature(signature: str) -> str:
    """Return the bare signature; it may be given with its brackets ``【】`` or without.

    Raises:
        InvalidRequest: it is blank, or has a bracket inside.
    """
    if not isinstance(signature, str):
        raise InvalidRequest(f"The signature must be a string, not {type(signature).__name__}.")
    bare = signature.removeprefix("【").removesuffix("】")
    check_characters(bare, "The signature")
    if not bare.strip():
        raise InvalidRequest("The signature is empty: give the text between 【 and 】.")
    if "【" in bare or "】" in bare:
        raise InvalidRequest(f"The signature {signature!r} has a bracket inside: give one name.")
    return bare


def normalise_channel(channel: str | int) -> str:
    """Return the channel number as digits, such as ``37``."""
    return _digits(channel, "The channel")


def normalise_extension(extension: str | int) -> str:
    """Return the extension number as digits; the empty string means none."""
    return "" if extension == "" else _digits(extension, "The extension")


def _digits(value: str | int, name: str) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _DIGITS.fullmatch(text):
        raise InvalidRequest(f"{name} must be a number such as 37, not {value!r}.")
    return text


def utf16_length(message: str) -> int:
    """Count a text's characters as an SMS does: in units of UTF-16, so that most emoji are two."""
    return len(message.encode("utf-16-le", "surrogatepass")) // 2


def segments(message: str) -> int:
    """Estimate how many parts a text is billed as: 70 characters alone, 67 in each of several.

    Characters are counted as `utf16_length` does.
    """
    units = utf16_length(message)
    return 1 if units <= 70 else -(-units // 67)


def check_characters(text: str, name: str) -> None:
    """Refuse a character that XML 1.0 cannot carry, naming its place (from 1)."""
    if found := _NOT_XML.search(text):
        raise InvalidRequest(
            f"{name} holds U+{ord(found[0]):04X} at character {found.start() + 1}, which XML"
            " cannot carry: remove it."
        )


def check_request_validation(value: str, name: str, *, secret: bool = False) -> None:
    """Refuse what ASP.NET's request validation refuses on the two HTTP ports.

    That is ``<`` before a letter, ``!``, ``/`` or ``?``, and ``&#``; the SOAP ports carry both.
    """
    if found := _DANGEROUS.search(value):
        what = "characters" if secret else f"{found[0]!r} at character {found.start() + 1}"
        raise InvalidRequest(
            f"{name} holds {what}, which the gateway refuses on its HTTP ports: use protocol"
            " 'soap' or 'soap12'."
        )


def _quote(item: str) -> str:
    return repr(item if len(item) <= 40 else f"{item[:40]}…")
