"""Validate and normalise numbers, message and signature before anything is sent.

Every function is pure. Every error is an `InvalidRequest` that names the invalid item.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Number
from typing import Any, TypeGuard

from yunxin_soap.errors import invalid_request
from yunxin_soap.placeholders import find_placeholder
from yunxin_soap.redact import quote
from yunxin_soap.sentences import Sentence

MAINLAND_MOBILE = re.compile(r"1[3-9][0-9]{9}")
"""A mobile number of mainland China, without a country code."""
MAINLAND_MOBILES = re.compile(rf"{MAINLAND_MOBILE.pattern}(?:,{MAINLAND_MOBILE.pattern})*")
"""Several of them, joined by commas as in the request."""
STORED_NUMBERS = re.compile(r"\+?[0-9]+(?:,\+?[0-9]+)*")
"""Numbers as a ledger keeps them, whatever pattern they must match."""
DEFAULT_MAX_RECIPIENTS = 500
"""The most numbers in one submission, from the vendor's manual."""
MAX_RECIPIENTS = 1000
"""The most numbers in one submission that the result codes -9 and -10 allow."""
DEFAULT_MAX_SEGMENTS = 10
"""The most segments of one message, unless a setting allows more."""
MAX_SEGMENTS = 255
"""The most segments that phones can join to one message."""
SINGLE_SEGMENT = 70
"""The most UTF-16 units of a message of one segment."""

_LONG = 1000
"""The length in UTF-16 units beyond which a message is noted as long."""
_SEGMENT = 67
"""UTF-16 units of each segment of a message of several."""
_MAX_ITEMS = 100 * MAX_RECIPIENTS
"""The most recipients to read, duplicates included: an iterable may be endless."""

_COUNTRY_CODE = re.compile(r"\A(?:\+|00)?86(?=1[3-9][0-9]{9}\Z)")
_COUNTRY_CODE_IN_BRACKETS = re.compile(r"\A(?:\((?:\+|00)?86\)|(?:\+|00)?86(?=\())(?:\(0\))?")
# 1-862-401-7194: the digits are those of a mainland number, the grouping is the one of America.
_AMERICAN = re.compile(
    r"[^0-9+]*1(?:[\W_]+[0-9]{3}[\W_]+[0-9]{3}[\W_]*|[-\u2010-\u2015\u2212][0-9]{6})[0-9]{4}\W*"
)
_DECIMAL = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE]\+?[0-9]{1,3})?")
_MAX_DIGITS = 20
_CUT_FROM, _CUT_DIGITS = 10**10, 10**5
"""A float from the first on that is a multiple of the second has at most six digits of a number: as
many as a spreadsheet shows of one that does not fit its cell."""
# The full-width forms of input methods. NFKC would turn ① and ½ into digits, too.
_FULL_WIDTH = str.maketrans(
    "".join(map(chr, range(0xFF10, 0xFF1A))) + "＋，－、（）．＝", "0123456789+,-,().="
)
_QUOTES = "'\"`\u2018\u2019\u201c\u201d\uff02\uff07"
_HYPHENS = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
_ASCII_DROPPED = {code: None for code in range(128) if chr(code).isspace() or chr(code) == "-"}
_NO_XML = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_NOT_XML = re.compile(f"[{_NO_XML}]")
# The usual message: text and signature start with a visible character, and nothing in them may be a
# placeholder or another signature.
_PLAIN = rf"(?=\S)[^{_NO_XML}\ufffd【】\[{{$#%@<［｛＄＃％＠＜〔]+"
_READY = re.compile(rf"{_PLAIN}【({_PLAIN})】")
_DANGEROUS = re.compile(r"<[A-Za-z!/?]|&#")
_SIGNATURE = re.compile(r"【([^【】]*)】\Z")
_SQUARE = "[［〖〔"
_OPEN, _CLOSE = _SQUARE + "【「『《〈<＜(（", "】］〗〕」』》〉>＞)）"
_NAME = rf"(?P<name>[^{re.escape(_OPEN)}\]{_CLOSE}\n]{{1,30}})"
# Byte order marks and the like, which a person does not see before a signature.
_UNSEEN = r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*"
_HALF_IN_FRONT = re.compile(r"[^【】\n]{1,30}[^【】\n0-9]】")  # "1】" numbers a point
_FRONT = re.compile(rf"{_UNSEEN}(?P<open>[{re.escape(_OPEN)}]){_NAME}(?P<close>[\]{_CLOSE}])")
_END_IN_OTHER_BRACKETS = re.compile(
    rf"(?P<open>[{re.escape(_OPEN)}]){_NAME}(?P<close>[\]{_CLOSE}])\Z"
)
_HEADING = re.compile(
    "(?:通知|提醒|提示|公告|通告|重要|紧急|注意|须知|预警|告知|验证码|账单|好消息|邀请函|测试)\\Z"
)
"""The ends of headings that stand in 【】 at the front of many messages, and are no signatures."""
_LOOKS_EMPTY = re.compile(
    r"(?<![A-Za-z0-9_])(?:nan|NaN|NaT|None|null|NULL|undefined)(?![A-Za-z0-9_])|<NA>|#N/A"
    r"|#[A-Z]{3,5}[/0]{0,2}[!?]|\[object Object\]|[0-9]\.[0-9]{9,}"
)
"""What a program writes into a text for a value that was not there, or not rounded."""
_ADJACENT = re.compile(r"【([^【】]*)】\s*(?=【[^【】]*】\Z)")
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
        """How many segments the vendor bills for each number, estimated by `count_segments`."""
        return count_segments(self.message)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the message before it is sent, a sentence each."""
        notes = describe_oddities(self.message)
        if found := _LOOKS_EMPTY.search(self.message):
            notes.append(
                f"The message has {found[0]!r}, which looks like a value that was empty or not"
                " rounded: check the text."
            )
        return tuple(notes)

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
    86 (``+86``, ``0086``, ``(+86)``, ``+86 (0)``) is removed from a mainland number. So is what a
    spreadsheet adds: ``13900000001.0``, ``1.3900000001E10``, ``'13900000001``, ``="13900000001"``,
    ``139.0000.0001``. A string may contain several numbers, separated by commas, ASCII or Chinese,
    or by line breaks. Whole floats and Decimals count by their value, and arrays are iterables.

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
        if not pattern.fullmatch(number):
            number = _from_spreadsheet(number)
        if not number:
            raise invalid_request(
                Sentence(
                    "Recipient {position} is empty: remove it, or give a number.", position=position
                )
            )
        mainland = pattern is MAINLAND_MOBILE
        if not pattern.fullmatch(number) or (mainland and _AMERICAN.fullmatch(item)):
            raise invalid_request(
                Sentence(
                    "Recipient {position}, {item}, {why}",
                    position=position,
                    item=quote(item),
                    why=_why_invalid(item, number, pattern),
                )
            )
        normalised[number] = None
        # Checked for each number, since an iterable may be endless.
        if len(normalised) > limit or position > _MAX_ITEMS:
            raise invalid_request(
                Sentence(
                    "There are more recipients than max_recipients={limit} allows in one "
                    "submission: give fewer, or split them over several submissions.",
                    limit=limit,
                )
            )
    if not normalised:
        raise invalid_request("There is no recipient: give at least one number.")
    return tuple(normalised)


def normalise_for_ledger(
    recipients: str | int | Iterable[str | int], *, pattern: re.Pattern[str], limit: int
) -> tuple[str, ...]:
    """Do as `normalise_recipients`, and check that a ledger can keep the numbers.

    Raises:
        InvalidRequest: a number is invalid, or has something else than digits after a +.
    """
    is_mainland = pattern.pattern == MAINLAND_MOBILE.pattern
    found = normalise_recipients(
        recipients, pattern=MAINLAND_MOBILE if is_mainland else pattern, limit=limit
    )
    for at, number in enumerate(found, 1) if not is_mainland else ():
        if not STORED_NUMBERS.fullmatch(number):
            raise invalid_request(
                Sentence(
                    "Recipient {at}, {number}, matches recipient_pattern ({pattern}), but is not "
                    "written in digits, with at most a + before them: fix it, or narrow the "
                    "pattern.",
                    at=at,
                    number=quote(number),
                    pattern=pattern.pattern,
                )
            )
    return found


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
    given: Any = (recipients,) if _is_number_type(recipients) else recipients
    try:
        if isinstance(given, (bytes, bytearray, Mapping)):
            raise TypeError
        items = iter(given)
    except TypeError:  # also for an array without dimensions
        raise invalid_request(
            Sentence(
                "Recipients must be a string or an iterable of strings, not {kind}.",
                kind=type(recipients).__name__,
            )
        ) from None
    for position, item in enumerate(items, 1):
        if item is None or not (_is_number_type(item) or is_missing(item)):
            raise invalid_request(
                Sentence(
                    "Recipient {position} is of type {kind}: give it as a string.",
                    position=position,
                    kind=type(item).__name__,
                )
            )
        text = number_as_text(item)
        if text.startswith(_NEGATIVE):
            raise invalid_request(
                Sentence(
                    "Recipient {position}, {item}, is negative: fix it or remove it.",
                    position=position,
                    item=item,
                )
            )
        for part in text.translate(_FULL_WIDTH).split(","):
            yield from [line for line in part.splitlines() if line.strip()] or [part]


_NEGATIVE = "minus "


def number_as_text(value: object) -> str:
    """Return the text of a number that may be no string, as in a workbook, a query or an array.

    A string is returned as it is. A whole number of any type is its digits: 13900000001.0 is
    ``13900000001``. A float or Decimal that may be what a spreadsheet has left of a number is
    ``1.39E+10``. A value that means "nothing" is the empty string. Any other value is its text,
    which is no valid number.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if is_missing(value):
        return ""
    if not _is_integer(value) and not isinstance(value, (float, Decimal)):
        # NumPy's smaller floats cannot hold the digits of a number exactly.
        is_inexact = isinstance(value, Number) and not isinstance(value, bool)
        return f"({type(value).__name__} {value})" if is_inexact else str(value)
    if not abs(value) < 10**_MAX_DIGITS:
        return f"(more than {_MAX_DIGITS} digits)"
    if _may_be_cut(value):
        text = f"{Decimal(value).normalize():E}"
    else:
        text = str(int(value)) if value == int(value) else str(value)
    return f"{_NEGATIVE}{text[1:]}" if text.startswith("-") else text


def _may_be_cut(value: object) -> bool:
    """Return whether a number may have been read from a text such as ``1.39E+10``.

    pandas makes 13900000000.0 of it, which is somebody's number. A Decimal keeps how it was
    written.
    """
    if isinstance(value, Decimal):
        return _exponent(value) > 0 and value != 0
    return isinstance(value, float) and abs(value) >= _CUT_FROM and value % _CUT_DIGITS == 0


def is_missing(value: object) -> bool:
    """Whether a value means "nothing": None, NaN, or the NaT and NA of pandas."""
    if isinstance(value, Decimal):
        return value.is_nan()  # a signalling NaN cannot be compared
    if isinstance(value, float):
        return value != value  # only NaN differs from itself
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _is_number_type(value: object) -> TypeGuard[Any]:
    return isinstance(value, (str, Number)) and not isinstance(value, bool)


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


def _from_spreadsheet(bare: str) -> str:
    """Return the digits of a number in the notation of a spreadsheet or an address book.

    Args:
        bare: the number as `_bare` returns it.

    Returns:
        The digits; the text itself if they are not certain.
    """
    text = bare.removeprefix("=").strip(_QUOTES)
    text = _COUNTRY_CODE_IN_BRACKETS.sub("86", text)
    # One point may be a decimal point. Two or more are separators.
    if text.count(".") > 1 and not text.startswith(".") and ".." not in text:
        joined = text.removeprefix("+").replace(".", "")
        text = joined if joined.isascii() and joined.isdigit() else text
    elif _DECIMAL.fullmatch(text):
        value = Decimal(text)
        # An exponent is left where not every digit is written.
        if value == value.to_integral_value() and not _is_cut_text(text, value):
            text = str(int(value))
    return _COUNTRY_CODE.sub("", text)


def _is_cut_text(text: str, value: Decimal) -> bool:
    """Return whether a number was written without all of its digits, or by a program as a float."""
    is_float = "." in text and "e" not in text.lower()
    return _exponent(value) > 0 or (is_float and _may_be_cut(float(value)))


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    return exponent


def _why_invalid(item: str, number: str, pattern: re.Pattern[str]) -> str:
    """Return the end of the sentence about an invalid number."""
    if pattern.fullmatch(number):
        return Sentence(
            "is written as an American number: remove it, or write its 11 digits without separators"
            " if it is one of mainland China."
        )
    if _DECIMAL.fullmatch(number) and _is_cut_text(number, Decimal(number)):
        return Sentence(
            "was cut by a spreadsheet, and its last digits are lost: format the column as text,"
            " enter the numbers again and save the list."
        )
    if pattern is MAINLAND_MOBILE:
        return Sentence(
            "is not a mainland mobile number (it must match {pattern}): fix it or remove it.",
            pattern=pattern.pattern,
        )
    return Sentence(
        "is not a number (it must match {pattern}): fix it or remove it.", pattern=pattern.pattern
    )


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


def normalise_message(
    message: str,
    signature: str | None = None,
    *,
    literal_braces: bool = False,
    literal: bool = False,
) -> str:
    """Return the message to send, with the signature appended if it has none.

    By the vendor's manual a message ends in its signature: the last character must be ``】``.

    Args:
        message: the text. Nothing is removed from it, not even spaces at its start.
        signature: the signature as `normalise_signature` returns it, or None.
        literal_braces: whether ``{name}`` is text. By default it is a placeholder that was not
            filled.
        literal: whether whatever looks like a placeholder is text.

    Raises:
        InvalidRequest: the message is empty, has no signature, two of them, or one that is not
            ``【…】`` at the end, still has a placeholder such as ``${name}``, or contains a
            character that was not decoded or that XML cannot carry.
    """
    if not isinstance(message, str):
        raise invalid_request(
            Sentence("The message must be a string, not {kind}.", kind=type(message).__name__)
        )
    message = as_text(message)
    found = _READY.fullmatch(message)
    if found and _is_plain_signature(found[1]):
        return message
    check_characters(message, "The message")
    if "\ufffd" in message:
        raise invalid_request(
            Sentence(
                "The message contains U+FFFD at character {place}, which stands for a "
                "character that could not be decoded: write the character itself.",
                place=message.index(chr(0xFFFD)) + 1,
            )
        )
    if not rstrip_invisible(message):
        raise invalid_request("The message is empty: write a text.")
    found = _SIGNATURE.search(message)
    if found is None:
        check_unsigned(message, signature)
        message = f"{message}【{signature}】"
        found = _SIGNATURE.search(message)
        assert found is not None
    _check_signed(message[: found.start()], found[1], signature)
    if literal:
        return message
    placeholder = find_placeholder(message, template=literal_braces)
    if placeholder is not None:
        name = placeholder.name if placeholder.name.isidentifier() else "name"
        # A text that a campaign has filled has no such argument.
        more = "" if literal_braces else Sentence(" If it is no placeholder, say so: literal=True.")
        raise invalid_request(
            Sentence(
                "The message still has the placeholder {text}, which nothing fills: write the "
                "value itself, or {{{name}}} for the column {name2} in a campaign's text.{more}",
                text=repr(placeholder.text),
                name=name,
                name2=repr(name),
                more=more,
            )
        )
    return message


def are_ready(messages: Sequence[str], max_segments: int) -> bool:
    """Return whether `normalise_message` returns all of these messages as they are.

    Then `check_segments` refuses none of them, and `describe_oddities` says nothing of them. It
    finds that out fast, and misses some: long texts, or one with a bracket that is no signature.

    Args:
        messages: at least one text.
        max_segments: the most segments of one.
    """
    # A character takes two units at most.
    if max(map(len, messages)) > min(_LONG, max_segments * _SEGMENT) // 2:
        return False
    for message in messages:
        found = _READY.fullmatch(message)
        if found is None or not _is_plain_signature(found[1]):
            return False
    return True


@functools.lru_cache(maxsize=256)
def _is_plain_signature(signature: str) -> bool:
    return bool(rstrip_invisible(signature)) and find_placeholder(f"【{signature}】") is None


def ends_in_signature(message: str) -> bool:
    """Return whether a message ends in ``【…】``, as the vendor's manual asks for."""
    return _SIGNATURE.search(message) is not None


def check_unsigned(message: str, signature: str | None) -> None:
    """Check that a signature may be appended to a message that does not end in ``【…】``.

    It must not have one in another place or in other brackets: recipients would see two. A heading
    such as ``【通知】`` is none.

    Args:
        message: the text, or the template of one.
        signature: the signature to append, or None.

    Raises:
        InvalidRequest: it has one already, or half of one, or there is none to append.
    """
    visible = rstrip_invisible(message)
    if _SIGNATURE.search(visible):
        raise invalid_request(
            Sentence(
                "The message has {count} invisible character(s) after its signature, but the "
                "last character must be 】: remove them.",
                count=len(message) - len(visible),
            )
        )
    lacks_start = visible.endswith("】") or _HALF_IN_FRONT.match(visible)
    if lacks_start or visible.rfind("【") > visible.rfind("】"):
        missing = "without its 【" if lacks_start else "without its 】"
        raise invalid_request(
            Sentence(
                "The message has half a signature, {missing}: write it as 【…】 at the end (-5 "
                "签名不正确), or remove its bracket.",
                missing=missing,
            )
        )
    for found in (_FRONT.match(visible), _END_IN_OTHER_BRACKETS.search(visible)):
        if found and _is_signature(found, signature):
            raise invalid_request(
                Sentence(
                    "The message has its signature as {found}, but it must be 【…】 at "
                    "the end, and "
                    "the last character 】 (-5 签名不正确): move it there. If it is "
                    "none, write the "
                    "signature at the end of the message, too.",
                    found=quote(found[0].strip()),
                )
            )
    if signature is None:
        raise invalid_request(
            "The message does not end in a signature: end it in 【…】, or set one to append"
            " (signature=, YUNXIN_SIGNATURE; -5 签名不正确)."
        )


def _is_signature(found: re.Match[str], signature: str | None) -> bool:
    """Return whether brackets at the start or the end of a message hold a signature.

    Args:
        found: the brackets, as ``open``, ``name`` and ``close``.
        signature: the signature that would be appended.
    """
    name = found["name"].strip()
    if name == signature:
        return True
    if found.start() == 0:
        return found["open"] == "【" and not _HEADING.search(name)
    # "[1]" is a footnote, and "（含税）" a remark.
    return found["open"] in _SQUARE and not name.isdigit()


def _check_signed(text: str, own: str, signature: str | None) -> None:
    """Check a message that ends in a signature.

    Args:
        text: the message before its signature.
        own: its signature.
        signature: the one that would be appended if it had none.

    Raises:
        InvalidRequest: signature or text are missing, or there is a second signature.
    """
    if not rstrip_invisible(own):
        raise invalid_request(
            "The message ends in 【】 without a signature: write one between (-5 签名不正确)."
        )
    if not text.strip():
        raise invalid_request("The message consists of its signature only: write a text before it.")
    if rstrip_invisible(text).endswith("【"):
        raise invalid_request(
            Sentence(
                "The message has an unpaired 【 before its signature 【{own}】: remove it.", own=own
            )
        )
    second = next((each for each in (own, signature) if each and f"【{each}】" in text), None)
    for found in (_FRONT.match(text), _END_IN_OTHER_BRACKETS.search(rstrip_invisible(text))):
        if found and found["name"].strip() == own.strip():
            second = found["name"]
    if second is not None:
        raise invalid_request(
            Sentence(
                "The message has two signatures, {second} before its end and 【{own}】 at its "
                "end: remove the first one.",
                second=second,
                own=own,
            )
        )


def normalise_signature(signature: str) -> str:
    """Return the signature without its brackets ``【】``, which are optional.

    Raises:
        InvalidRequest: it is blank, or contains a bracket.
    """
    if not isinstance(signature, str):
        raise invalid_request(
            Sentence("The signature must be a string, not {kind}.", kind=type(signature).__name__)
        )
    bare = signature.removeprefix("【").removesuffix("】")
    check_characters(bare, "The signature")
    if not bare.strip():
        raise invalid_request("The signature is empty: give the text between 【 and 】.")
    if "【" in bare or "】" in bare:
        raise invalid_request(
            Sentence(
                "The signature {signature} contains a bracket: give one name.",
                signature=repr(signature),
            )
        )
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
    raise invalid_request(
        Sentence("{name} must be a number such as 37, not {value}.", name=name, value=repr(value))
    )


def utf16_length(message: str) -> int:
    """Return the length of a message in UTF-16 units, as the vendor counts it.

    Most emoji count as two.
    """
    return len(message.encode("utf-16-le", "surrogatepass")) // 2


def count_segments(message: str) -> int:
    """Estimate how many segments the vendor bills for a message.

    A message of up to 70 UTF-16 units is one segment. A longer one has 67 in each segment, or 66
    where the last two would be halves of one character, such as an emoji. No text is no segment.
    """
    length = utf16_length(message)
    if length <= SINGLE_SEGMENT:
        return 1 if message else 0
    if length == len(message):  # no character takes two units
        return -(-length // _SEGMENT)
    high_bytes = message.encode("utf-16-be", "surrogatepass")[::2]
    count = start = 0
    while start < length:
        count, start = count + 1, start + _SEGMENT
        is_pair = start < length and (
            0xD8 <= high_bytes[start - 1] <= 0xDB and 0xDC <= high_bytes[start] <= 0xDF
        )
        start -= is_pair
    return count


def check_segments(message: str, limit: int) -> None:
    """Check that a message has no more segments than it may have.

    Args:
        message: the text with its signature.
        limit: the most segments (``max_segments``).

    Raises:
        InvalidRequest: it has more.
    """
    # A character takes two units at most, so nearly no message need be measured.
    if len(message) > limit * _SEGMENT // 2 and (count := count_segments(message)) > limit:
        raise invalid_request(
            Sentence(
                "The message has {count} segments ({characters} characters), more than "
                "max_segments={limit}: shorten it, or raise that limit.",
                count=count,
                characters=utf16_length(message),
                limit=limit,
            )
        )


def check_limits(max_recipients: int, max_segments: int) -> None:
    """Check the limits that a plan or an enqueued send is given.

    Raises:
        InvalidRequest: one is out of range.
    """
    for name, value, most in (
        ("max_recipients", max_recipients, MAX_RECIPIENTS),
        ("max_segments", max_segments, MAX_SEGMENTS),
    ):
        if not 1 <= value <= most:
            raise invalid_request(
                Sentence(
                    "{name}={value} must be from 1 to {most}.",
                    name=name,
                    value=repr(value),
                    most=most,
                )
            )


def describe_oddities(message: str) -> list[str]:
    """Return what is allowed in a message, but seldom meant, a sentence each."""
    notes: list[str] = []
    # A character takes two units at most.
    if len(message) > _LONG // 2 and (length := utf16_length(message)) > _LONG:
        notes.append(
            Sentence(
                "The message has {length} characters, more than {long}: it takes about"
                " {segments} segments for each number.",
                length=length,
                long=_LONG,
                segments=count_segments(message),
            )
        )
    if message.count("【") > 1:
        found = _ADJACENT.search(message)
        front = _FRONT.match(message)
        if found is None and front and front["open"] == "【" and not _HEADING.search(front["name"]):
            found = front
        if found is not None and found.end() < len(message):
            notes.append(
                Sentence(
                    "The message has {found} beside the signature at its end: if it is a"
                    " signature, too, remove it.",
                    found=quote(found[0].strip()),
                )
            )
    return notes


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
            Sentence(
                "{name} contains U+{found} at character {start}, which XML cannot carry: "
                "remove it.",
                name=name,
                found=f"{ord(found[0]):04X}",
                start=found.start() + 1,
            )
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
            Sentence(
                "{name} contains {what} the gateway rejects on 'http-get' and 'http-post': use "
                "protocol 'soap' or 'soap12'.",
                name=name,
                what=what,
            )
        )
