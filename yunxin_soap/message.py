"""Validate and normalise numbers, message and signature before anything is sent.

Every function is pure. Every error is an `InvalidRequest` that names the invalid item.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeGuard

from yunxin_soap.errors import invalid_request
from yunxin_soap.redact import quote

MAINLAND_MOBILE = re.compile(r"1[3-9][0-9]{9}")
"""A mobile number of mainland China, without a country code."""
MAINLAND_MOBILES = re.compile(rf"{MAINLAND_MOBILE.pattern}(?:,{MAINLAND_MOBILE.pattern})*")
"""Several of them, joined by commas as in the request."""
DEFAULT_MAX_RECIPIENTS = 500
"""The most numbers in one submission, from the vendor's manual."""
MAX_RECIPIENTS = 1000
"""The most numbers in one submission that the result codes -9 and -10 allow."""

_MAX_ITEMS = 100 * MAX_RECIPIENTS
"""The most recipients to read, duplicates included: an iterable may be endless."""

_COUNTRY_CODE = re.compile(r"\A(?:\+|00)?86(?=1[3-9][0-9]{9}\Z)")
# The full-width forms of input methods. NFKC would turn ① and ½ into digits, too.
_FULL_WIDTH = str.maketrans("".join(map(chr, range(0xFF10, 0xFF1A))) + "＋，－、", "0123456789+,-,")
_HYPHENS = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
_ASCII_DROPPED = {code: None for code in range(128) if chr(code).isspace() or chr(code) == "-"}
_XML = "\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
_NOT_XML = re.compile(f"[^{_XML}]")
_XML_BUT_BRACKETS = _XML.replace("-\ud7ff", "-\u300f\u3012-\ud7ff")
# The usual message: text and signature start with a visible character.
_READY = re.compile(rf"(?=\S)[{_XML}]+【(?=\S)[{_XML_BUT_BRACKETS}]+】")
_DANGEROUS = re.compile(r"<[A-Za-z!/?]|&#")
_SIGNATURE = re.compile(r"【([^【】]*)】\Z")
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, init=False)
class Submission:
    """One validated call of ``sendMesExt``, without the credentials."""

    recipients: tuple[str, ...]
    """The normalised numbers, without duplicates, in the order given."""
    message: str
    """The message with its signature."""
    channel: str
    extension: str

    def __init__(
        self, recipients: tuple[str, ...], message: str, channel: str, extension: str
    ) -> None:
        # The generated method of a frozen class takes twice as long.
        values = self.__dict__
        values["recipients"] = recipients
        values["message"] = message
        values["channel"] = channel
        values["extension"] = extension

    @property
    def length(self) -> int:
        """The length of the message as the vendor counts it, in UTF-16 units.

        Most characters count as one, most emoji as two.
        """
        return utf16_length(self.message)

    @property
    def segments(self) -> int:
        """How many segments the vendor bills for each number, estimated from the length.

        One for up to 70 UTF-16 units, else one for each 67.
        """
        return count_segments(self.message)

    def __repr__(self) -> str:
        """Omit numbers and message: a submission may be logged."""
        return f"Submission(recipients=<{len(self.recipients)}>, channel={self.channel!r})"


def normalise_recipients(
    recipients: str | int | Iterable[str | int],
    *,
    pattern: re.Pattern[str] = MAINLAND_MOBILE,
    limit: int = DEFAULT_MAX_RECIPIENTS,
) -> tuple[str, ...]:
    """Return the numbers as the request carries them: only digits, without duplicates, in order.

    Spaces, hyphens, invisible marks and full-width digits are normalised, and the country code
    86 (``+86``, ``0086``) is removed from a mainland number. A string may contain several numbers,
    separated by commas, ASCII or Chinese, or by line breaks.

    Args:
        recipients: one number, several joined by commas, or an iterable of either.
        pattern: the regular expression that a normalised number must match in full.
        limit: the most numbers, not counting duplicates.

    Raises:
        InvalidRequest: there is no number, there are too many, or one does not match. The message
            quotes it and says its position, from 1.
    """
    if pattern is MAINLAND_MOBILE:
        already = _already_normal(recipients)
        if already and len(already) <= limit:
            return already
    normalised: dict[str, None] = {}
    for position, item in enumerate(_items(recipients), 1):
        number = _bare(item)
        if not number:
            raise invalid_request(f"Recipient {position} is empty: remove it, or give a number.")
        if not pattern.fullmatch(number):
            raise invalid_request(
                f"Recipient {position}, {quote(item)}, is not a"
                f" {'mainland mobile ' if pattern is MAINLAND_MOBILE else ''}number"
                f" (it must match {pattern.pattern}): fix it or remove it."
            )
        normalised[number] = None
        # Checked for each number, since an iterable may be endless.
        if len(normalised) > limit or position > _MAX_ITEMS:
            raise invalid_request(
                f"There are more than {limit} recipients, the limit of one submission: split them"
                " over several submissions."
            )
    if not normalised:
        raise invalid_request("There is no recipient: give at least one number.")
    return tuple(normalised)


def _already_normal(recipients: str | int | Iterable[str | int]) -> tuple[str, ...]:
    """Return the numbers of the usual input, which needs no normalising; nothing of any other."""
    if isinstance(recipients, str):
        items: tuple[Any, ...] = (recipients,)
    elif isinstance(recipients, (list, tuple)) and len(recipients) <= _MAX_ITEMS:
        items = tuple(recipients)  # another thread may change a list between its checks
    else:
        return ()
    try:
        joined = ",".join(items)  # a `str`, even if an item is of a subclass
    except TypeError:
        return ()
    if len(joined) == 11:
        # As `MAINLAND_MOBILE`: to use a regular expression takes longer, more so after a wait for a
        # socket.
        in_range = "13000000000" <= joined <= "19999999999"
        return (joined,) if in_range and joined.isdigit() and joined.isascii() else ()
    if not MAINLAND_MOBILES.fullmatch(joined):
        return ()
    one_number_each = len(joined) + 1 == 12 * len(items)
    if one_number_each and len(set(items)) == len(items) and set(map(type, items)) == {str}:
        return items
    return tuple(dict.fromkeys(joined.split(",")))


def _items(recipients: str | int | Iterable[str | int]) -> Iterable[str]:
    if isinstance(recipients, str) or _is_integer(recipients):
        recipients = [recipients]
    elif isinstance(recipients, (bytes, bytearray, Mapping)) or not isinstance(
        recipients, Iterable
    ):
        raise invalid_request(
            "Recipients must be a string or an iterable of strings, not"
            f" {type(recipients).__name__}."
        )
    for position, item in enumerate(recipients, 1):
        if not isinstance(item, str) and not _is_integer(item):
            raise invalid_request(
                f"Recipient {position} is of type {type(item).__name__}: give it as a string."
            )
        if _is_integer(item) and item < 0:
            raise invalid_request(
                f"Recipient {position}, {item}, is negative: fix it or remove it."
            )
        for part in as_text(item).translate(_FULL_WIDTH).split(","):
            yield from [line for line in part.splitlines() if line.strip()] or [part]


def as_text(value: object) -> str:
    """Return a string as it is, an integer as its digits, and any other value as it prints.

    A member of an enumeration of strings or integers prints its name, which must not be sent.
    """
    if isinstance(value, str):
        return str.__str__(value)
    return str(int(value)) if _is_integer(value) else str(value)


def _is_integer(item: object) -> TypeGuard[int]:
    """Whether it is an integer of any type, such as NumPy's, but not a bool."""
    return isinstance(item, Integral) and not isinstance(item, bool)


def _bare(item: str) -> str:
    kept = item.translate(_ASCII_DROPPED)
    if not kept.isascii():
        kept = "".join(each for each in kept if not _invisible(each) and each not in _HYPHENS)
    return _COUNTRY_CODE.sub("", kept)


def _invisible(character: str) -> bool:
    """Whether a character is white space or a format mark, so that nobody can see it."""
    # Cf: the marks that a phone's address book adds around a copied number, for example.
    return character.isspace() or unicodedata.category(character) == "Cf"


def rstrip_invisible(text: str) -> str:
    """Remove the invisible characters from the end of a text."""
    length = len(text)
    while length and _invisible(text[length - 1]):
        length -= 1
    return text[:length]


def normalise_message(message: str, signature: str | None = None) -> str:
    """Return the message to send, with the signature appended if it has none.

    By the vendor's manual a message ends in its signature: the last character must be ``】``.

    Args:
        message: the text. Nothing is removed from it, not even spaces at its start.
        signature: the signature as `normalise_signature` returns it, or None.

    Raises:
        InvalidRequest: the message is empty, has no signature, continues after its signature, or
            contains a character that XML cannot carry.
    """
    if not isinstance(message, str):
        raise invalid_request(f"The message must be a string, not {type(message).__name__}.")
    message = as_text(message)
    if _READY.fullmatch(message):
        return message
    check_characters(message, "The message")
    if not rstrip_invisible(message):
        raise invalid_request("The message is empty: write a text.")
    found = _SIGNATURE.search(message)
    if found is None:
        message = _append_signature(message, signature)
        found = _SIGNATURE.search(message)
        assert found is not None
    if not found[1].strip():
        raise invalid_request(
            "The message ends in 【】 without a signature: write one between (-5 签名不正确)."
        )
    if not message[: found.start()].strip():
        raise invalid_request("The message consists of its signature only: write a text before it.")
    return message


def _append_signature(message: str, signature: str | None) -> str:
    visible = rstrip_invisible(message)
    if _SIGNATURE.search(visible):
        raise invalid_request(
            f"The message has {len(message) - len(visible)} invisible character(s) after its"
            " signature, but the last character must be 】: remove them."
        )
    if signature is None:
        raise invalid_request(
            "The message does not end in a signature: end it in 【…】, or set one to append"
            " (signature=, YUNXIN_SIGNATURE; -5 签名不正确)."
        )
    if f"【{signature}】" in message:
        raise invalid_request(
            f"The message has its signature 【{signature}】 before its end, but the last"
            " character must be 】: move the signature to the end."
        )
    return f"{message}【{signature}】"


def normalise_signature(signature: str) -> str:
    """Return the signature without its brackets ``【】``, which are optional.

    Raises:
        InvalidRequest: it is blank, or contains a bracket.
    """
    if not isinstance(signature, str):
        raise invalid_request(f"The signature must be a string, not {type(signature).__name__}.")
    bare = signature.removeprefix("【").removesuffix("】")
    check_characters(bare, "The signature")
    if not bare.strip():
        raise invalid_request("The signature is empty: give the text between 【 and 】.")
    if "【" in bare or "】" in bare:
        raise invalid_request(f"The signature {signature!r} contains a bracket: give one name.")
    return bare


def normalise_channel(channel: str | int) -> str:
    """Return the channel number as digits, such as ``37``."""
    return _digits(channel, "The channel")


def normalise_extension(extension: str | int) -> str:
    """Return the extension number as digits, or the empty string for none."""
    return "" if extension == "" else _digits(extension, "The extension")


def _digits(value: str | int, name: str) -> str:
    # A caller without a type checker may give anything.
    given: object = value
    text = as_text(given) if isinstance(given, str) or _is_integer(given) else ""
    if _DIGITS.fullmatch(text):
        return text
    raise invalid_request(f"{name} must be a number such as 37, not {value!r}.")


def utf16_length(message: str) -> int:
    """Return the length of a message in UTF-16 units, as the vendor counts it.

    Most emoji count as two.
    """
    return len(message.encode("utf-16-le", "surrogatepass")) // 2


def count_segments(message: str) -> int:
    """Estimate how many segments the vendor bills for a message.

    A message of up to 70 UTF-16 units is one segment. A longer one has 67 in each segment.
    """
    length = utf16_length(message)
    return 1 if length <= 70 else -(-length // 67)


def check_characters(text: str, name: str) -> None:
    """Check that XML 1.0 can carry every character.

    Args:
        text: the text.
        name: how the error names it, such as ``The message``.

    Raises:
        InvalidRequest: it contains another character; the message says its position, from 1.
    """
    if found := _NOT_XML.search(text):
        raise invalid_request(
            f"{name} contains U+{ord(found[0]):04X} at character {found.start() + 1}, which XML"
            " cannot carry: remove it."
        )


def check_request_validation(value: str, name: str, *, secret: bool = False) -> None:
    """Check that ASP.NET's request validation accepts a value on ``http-get`` and ``http-post``.

    It rejects ``<`` before a letter, ``!``, ``/`` or ``?``, and ``&#``. ``soap`` and ``soap12``
    carry both.

    Args:
        value: the value.
        name: how the error names it, such as ``The message``.
        secret: whether the error must not quote it.

    Raises:
        InvalidRequest: ASP.NET would reject it.
    """
    if found := _DANGEROUS.search(value):
        where = f"{found[0]!r} at character {found.start() + 1}, which"
        what = "characters that" if secret else where
        raise invalid_request(
            f"{name} contains {what} the gateway rejects on 'http-get' and 'http-post': use"
            " protocol 'soap' or 'soap12'."
        )
