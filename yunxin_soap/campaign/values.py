"""Writes a cell's value as a person would, and refuses what would leave a hole in the text. Pure.

A cell is text in a CSV file; a spreadsheet, a database or a DataFrame has numbers, dates and
several values for "nothing". pandas and NumPy are recognised without being imported.
"""

from __future__ import annotations

import html.entities
import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral, Rational, Real
from typing import Any, cast

from yunxin_soap.encoding import REPLACEMENT_CHARACTER
from yunxin_soap.errors import InvalidRequest, invalid_request
from yunxin_soap.message import as_text, rstrip_invisible
from yunxin_soap.placeholders import find_placeholder
from yunxin_soap.redact import quote
from yunxin_soap.sentences import Sentence

_HOLES = frozenset(
    {
        # pandas, R, databases, programming languages
        *("nan", "-nan", "+nan", "nat", "none", "null", "nil", "na", "n/a", "n / a", "n.a.", "n.a"),
        *("<na>", "<nat>", "<nan>", "<null>", "<none>", "(null)", "(none)", "(nan)", "[null]"),
        *("\\n", "undefined", "[objectobject]", "[objectnull]", "1.#ind", "-1.#ind", "1.#qnan"),
        *("-1.#qnan", "1.#inf", "-1.#inf", "inf", "-inf", "+inf", "infinity", "-infinity"),
        # spreadsheets; errors that end in ! or ? are found by their form
        *("#n/a", "#n/an/a", "#na", "#nv", "#n/d", "#value", "#ref", "#null", "#name", "#num"),
        *(
            "#error",
            "#deleted",
            "#getting_data",
            "loading...",
            "(blank)",
            "(空白)",
            "(空)",
            "空值",
            "&nbsp;",
        ),
        # LibreOffice
        *(f"{error}:{code}" for error in ("err", "错误") for code in range(500, 600)),
    }
)
"""What stands for "nothing", in lower case and without blanks."""
_BOOLEANS = frozenset({"true", "false"})
_NO_TEXTS = _HOLES | _BOOLEANS
_GLUED_HOLE = re.compile(
    # As programs write them: "Nan" is a name, "null" is none. A unit or a label is beside it.
    r"(?:nan|NaN|NaT|None|null|NULL|undefined|N/A|#N/A|<NA>|\\N)"
    r"(?=[ \u3000]?[\u4e00-\u9fff]|[\u3000-\u303f%％,，。)）]|$)",
    re.MULTILINE,
)
_BESIDE_HOLE = re.compile(r"[\n\u4e00-\u9fff\u3000-\u303f¥￥$€:：,，(（][ \u3000]?\Z")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z]{2,8}[0-9]{0,2}));")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
"""A character as JSON writes it."""
_SPREADSHEET_ERROR = re.compile(r"#[a-zà-ÿа-яё0-9_/¡¿]+[!?]")
"""In any language, such as ``#WERT!``."""
_LONGEST_HOLE = 40
"""Characters of a hole or of a placeholder in its place, at most."""
_QUOTES = "\"'`“”‘’"
_DASHES = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
_SUSPECT = _DASHES.union(r"#?\<([{$%@", "＃？＼＜（［｛＄％＠＋－", "【〔", _QUOTES).union(
    chr(ord(each) + 0xFEE0) for each in "filntuFILNTU0123456789"
)
"""The first characters of holes in other forms and widths, and of placeholders."""
_CUT_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?E[+-][0-9]{1,3}", re.IGNORECASE)
_NOISY_NUMBER = re.compile(r"[+-]?[0-9]*\.[0-9]{9,}")
_SHORTEST_NOISY = 10
_PLAIN = r"(?:[A-Za-z\u4e00-\u9fff][0-9A-Za-z\u4e00-\u9fff]*|[0-9]{1,6}\.[0-9]{1,2}|[0-9]+)"
_PLAIN_LINES = re.compile(rf"{_PLAIN}(?:\n{_PLAIN})*")
_C1_CONTROL = re.compile("[\x80-\x9f]")
_PRINTED_BYTES = re.compile(r"""b(['"]).*\1""", re.DOTALL)

_MAX_DECIMALS = 8
_MAX_DIGITS = 30
_FLOAT_DIGITS = 15
"""The digits that a float, or a cell of a spreadsheet, keeps of every number."""
_MAX_SHORT_FLOAT = 2**24
"""From here on, a float of 32 bits or less does not keep each whole number."""
_NOISE = Decimal("1e-13")
_SHORT_NOISE = Decimal("2e-7")
"""The share of a float's value that its last bits may be off by."""

_CHINA_OFFSET = timedelta(hours=8)
_DIRECTIVE = re.compile(r"%%|%(-?)([YymdHIMS])")
_DATE_DIRECTIVES = "Yymd"
_DATE = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})日|(\d{2})(\d{2}))"
    r"(?:(?:\s+|T)(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)


def as_written(
    value: object, spec: str = "", name: str = "The value", dash_is_empty: bool = False
) -> str:
    """Return a value as a person would write it. Blanks around a text are removed.

    A date is written as ``2026-11-30``, a date with a time as ``2026-11-30 09:30``, and a number
    without an exponent, without the noise of binary fractions and without ``.0``. A `Decimal` keeps
    its digits, as in ``12.50``.

    Args:
        value: a text, a number, a date or a time, also one of pandas or NumPy.
        spec: how to write a date, as in ``%m月%d日``; see `check_spec`. A text in ISO notation, or
            such as ``2026/11/30`` or ``2026年11月30日``, is a date, too.
        name: how an error names the value.
        dash_is_empty: whether a lone ``-`` means "nothing".

    Raises:
        InvalidRequest: the value means "nothing", such as None, NaN, NaT or ``#N/A``; it is a bool,
            bytes or of another type that nobody writes into a text; it is a text in which a program
            left such a value (``nan元``) or an HTML entity; it is a number that was cut, or a date
            without what ``spec`` asks for.
    """
    if type(value) is str:
        text = value.strip()
        # Nearly all values end here.
        if (
            text
            and not spec
            and (first := text[0]) not in _SUSPECT
            and text[-1] not in _SUSPECT
            and text.isprintable()
            and text.lower() not in _NO_TEXTS
            and not _find_remains(text)
            and REPLACEMENT_CHARACTER not in text
            and (first > "9" or _is_short_number(text))
        ):
            return text
    elif isinstance(value, str):
        text = as_text(value).strip()
    else:
        return _write(value, spec, name)
    _check_text(text, name, dash_is_empty)
    return _format(_parse_date(text, name), spec, name) if spec else text


def are_plain(values: Sequence[object]) -> bool:
    """Return whether `as_written` would return all of these values as they are.

    It finds that out for many values at once, and misses some: words and numbers without anything
    else in them are plain.
    """
    if set(map(type, values)) != {str}:
        return False
    texts = cast("Sequence[str]", values)
    joined = "\n".join(texts)
    return (
        _PLAIN_LINES.fullmatch(joined) is not None
        and joined.count("\n") == len(texts) - 1
        and _NO_TEXTS.isdisjoint(map(str.lower, texts))
        and not _find_remains(joined)
    )


def _is_short_number(text: str) -> bool:
    """Return whether a text that starts with a digit or a mark has neither exponent nor noise."""
    is_short = len(text) < _SHORTEST_NOISY or "." not in text
    return is_short and "E" not in text and "e" not in text


def check_spec(spec: str) -> None:
    """Check how a date is to be written.

    The directives are those of `datetime.strftime` that are digits in every language: ``%Y``,
    ``%y``, ``%m``, ``%d``, ``%H``, ``%I``, ``%M``, ``%S`` and ``%%``. ``%-m`` omits a leading zero.

    Raises:
        InvalidRequest: there is another directive in it.
    """
    rest = _DIRECTIVE.sub("", spec)
    if "%" in rest:
        raise invalid_request(
            Sentence(
                "The format {spec} has {rest}: a date may use %Y, %y, %m, %d, %H, %I, %M, %S "
                "and %%, or %-m for a number without a leading zero.",
                spec=repr(spec),
                rest=repr(rest[rest.index("%") :][:2]),
            )
        )


def _check_decoded(text: str, name: str) -> None:
    """Check that no character comes of a wrong encoding."""
    if REPLACEMENT_CHARACTER in text:
        raise invalid_request(
            Sentence(
                "{name} contains bytes that the list's encoding cannot decode "
                "(U+FFFD): name its encoding with encoding=.",
                name=name,
            )
        )
    # UTF-8 that was read as Latin-1 has some of these.
    if found := _C1_CONTROL.search(text):
        raise invalid_request(
            Sentence(
                "{name} contains a control character (U+{found}): it was decoded in a wrong "
                "encoding.",
                name=name,
                found=f"{ord(found[0]):04X}",
            )
        )
    if any(unicodedata.category(each) == "Co" for each in text):
        raise invalid_request(
            Sentence(
                "{name} contains a private-use character, which no phone shows: the list may "
                "be in another encoding than the plan names.",
                name=name,
            )
        )


def _check_text(text: str, name: str, dash_is_empty: bool) -> None:
    bare = unicodedata.normalize("NFKC", _strip_invisible(text))
    # A text such as "您的余额是元" cannot be unsent; characters without width leave the same hole.
    if not bare:
        raise invalid_request(Sentence("{name} is empty.", name=name))
    _check_decoded(text, name)
    # The column was too narrow for a number, or a database lacked the characters.
    if (len(bare) > 1 and not bare.strip("#")) or not bare.strip("?"):
        raise _empty(text, name)
    if len(text) <= _LONGEST_HOLE:
        key = "".join(bare.split()).strip(_QUOTES).casefold()
        is_dash = dash_is_empty and _DASHES.issuperset(key)
        if not key or is_dash or key in _HOLES or _SPREADSHEET_ERROR.fullmatch(key):
            raise _empty(text, name)
        # The full stop makes it no signature.
        found = find_placeholder(f"{bare}.")
        if found is not None and found.text == bare:
            raise _empty(text, name)
    _check_remains(text, bare, name)


def _check_remains(text: str, bare: str, name: str) -> None:
    """Check that a text has nothing that only a program writes."""
    if bare.strip(_QUOTES).casefold() in _BOOLEANS:
        raise invalid_request(
            Sentence(
                "{name} is {text}, as a program writes yes or no: write in the list what the "
                "message should say.",
                name=name,
                text=quote(text),
            )
        )
    if remains := _find_remains(text):
        raise invalid_request(
            Sentence("{name}, {text}, {remains}", name=name, text=quote(text, 60), remains=remains)
        )
    if _CUT_NUMBER.fullmatch(bare):
        raise invalid_request(
            Sentence(
                "{name}, {text}, is a number that a spreadsheet has cut: format its column as "
                "text, or as a number without an exponent, and save the list again.",
                name=name,
                text=quote(text),
            )
        )
    if _NOISY_NUMBER.fullmatch(bare):
        raise _noisy(text, name)
    if _PRINTED_BYTES.fullmatch(bare):
        raise invalid_request(
            Sentence(
                "{name}, {text}, is printed bytes: decode it in the list.",
                name=name,
                text=quote(text),
            )
        )


def _find_remains(text: str) -> str:
    """Return what is wrong with a text in which a program left something; "" if nothing is."""
    # Each hole has one of these letters. To look for them first takes a tenth of the time.
    if ("n" in text or "N" in text) and _GLUED_HOLE.search(text):
        for found in _GLUED_HOLE.finditer(text):
            start = found.start()
            if not start or _BESIDE_HOLE.search(text[max(start - 2, 0) : start]):
                return f"holds {found[0]}, which stands for nothing: fill it in the list."
    for found in _ENTITY.finditer(text) if "&" in text else ():
        if found[1] is None or found[1] in html.entities.name2codepoint:
            shown = html.unescape(found[0])
            return f"holds {found[0]}, which a phone shows so: write {shown!r} in the list."
    for found in _UNICODE_ESCAPE.finditer(text) if "\\u" in text else ():
        shown = chr(int(found[1], 16))
        return f"holds {found[0]}, which a phone shows so: write {shown!r} in the list."
    return ""


def _strip_invisible(text: str) -> str:
    return rstrip_invisible(rstrip_invisible(text)[::-1])[::-1]


def _empty(value: object, name: str) -> InvalidRequest:
    shown = quote(value) if isinstance(value, str) else str(value)
    return invalid_request(Sentence("{name} is empty: it holds {shown}.", name=name, shown=shown))


def _noisy(value: object, name: str) -> InvalidRequest:
    return invalid_request(
        Sentence(
            "{name}, {value}, has more than {max_decimals} decimals, which nobody writes: "
            "round it in the list.",
            name=name,
            value=quote(str(value), 60),
            max_decimals=_MAX_DECIMALS,
        )
    )


def _write(value: Any, spec: str, name: str) -> str:
    """Write a value that is no text."""
    if value is None:
        raise invalid_request(Sentence("{name} is empty.", name=name))
    if _is_nothing(value):
        raise _empty(value, name)
    if _is_of_numpy(value, "datetime64"):
        value = _date_of_numpy(value, name)
    if isinstance(value, (date, time)):
        return _format(value, spec, name)
    if spec:
        raise invalid_request(
            Sentence(
                "{name} is no date, but the message writes it as {spec}: fix the "
                "list, or the message.",
                name=name,
                spec=repr(spec),
            )
        )
    if not isinstance(value, bool) and not _is_of_numpy(value, "bool", "bool_", "timedelta64"):
        if isinstance(value, Integral):
            return _write_integer(int(value), name)
        if isinstance(value, Decimal):
            return _write_decimal(value, name)
        if isinstance(value, Real) and not isinstance(value, Rational):
            return _write_float(value, name)
    raise invalid_request(
        Sentence(
            "{name} is of type {kind}, which has no usual notation: give it as text.",
            name=name,
            kind=type(value).__name__,
        )
    )


def _date_of_numpy(value: Any, name: str) -> date:
    is_day = value.dtype.name == "datetime64[D]"
    found = value.astype("datetime64[D]" if is_day else "datetime64[us]").item()
    if isinstance(found, date):
        return found
    raise invalid_request(
        Sentence("{name} is a date outside of the years 1 to 9999: correct it.", name=name)
    )


def _is_of_numpy(value: object, *names: str) -> bool:
    kind = type(value)
    return kind.__module__.partition(".")[0] == "numpy" and kind.__name__ in names


def _is_nothing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT, pandas' NA or a masked element of NumPy."""
    if type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    try:
        return bool(value != value)  # NaN and its kind alone differ from themselves
    except (TypeError, ValueError, ArithmeticError):  # an array, for example
        return False


def _write_integer(value: int, name: str) -> str:
    if abs(value) >= 10**_MAX_DIGITS:
        raise invalid_request(
            Sentence(
                "{name} has more than {max_digits} digits: shorten it.",
                name=name,
                max_digits=_MAX_DIGITS,
            )
        )
    return str(value)


def _write_float(value: Any, name: str) -> str:
    is_short = not isinstance(value, float)  # NumPy's floats of 32 and of 16 bits
    if math.isinf(value):
        raise _empty(value, name)
    if abs(float(value)) >= (_MAX_SHORT_FLOAT if is_short else 10**_FLOAT_DIGITS):
        raise invalid_request(
            Sentence(
                "{name}, {value}, is a float, which does not keep so many digits: give it as "
                "text, or as an int or a Decimal.",
                name=name,
                value=value,
            )
        )
    if float(value).is_integer():
        return str(int(value))
    # NumPy's own repr has the name of its type.
    number = Decimal(str(float(value)) if not is_short else str(value))
    if is_short:
        number = _round_noise(number, 6, _SHORT_NOISE)
    elif _decimals(number) > _MAX_DECIMALS or len(number.as_tuple().digits) > _FLOAT_DIGITS:
        number = _round_noise(number, 12, _NOISE)
    if _decimals(number) > _MAX_DECIMALS:
        raise _noisy(value, name)
    return _plain(number)


def _write_decimal(value: Decimal, name: str) -> str:
    if value.is_infinite():
        raise _empty(value, name)
    if value.adjusted() >= _MAX_DIGITS:
        raise invalid_request(
            Sentence(
                "{name} has more than {max_digits} digits: shorten it.",
                name=name,
                max_digits=_MAX_DIGITS,
            )
        )
    if _decimals(value) > _MAX_DECIMALS:
        value = Decimal(f"{value:f}".rstrip("0"))
    if _decimals(value) > _MAX_DECIMALS:
        value = _round_noise(value, 15, _NOISE)
    if _decimals(value) > _MAX_DECIMALS:
        raise _noisy(value, name)
    return _plain(value)


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent


def _round_noise(number: Decimal, digits: int, noise: Decimal) -> Decimal:
    """Return the number with fewer digits, if it differs from that by the noise of a float only."""
    rounded = Decimal(f"{number:.{digits}g}").normalize()
    return rounded if abs(rounded - number) <= noise * abs(number) else number


def _plain(number: Decimal) -> str:
    written = f"{number:f}"
    return written.removeprefix("-") if not number else written


def _parse_date(text: str, name: str) -> date:
    found = _DATE.fullmatch(unicodedata.normalize("NFKC", _strip_invisible(text)))
    if found is None:
        raise _no_date(text, name)
    month, day = found[3] or found[5] or found[7], found[4] or found[6] or found[8]
    try:
        if found[9] is None:
            return date(int(found[1]), int(month), int(day))
        zone = (found[12] or "").replace("Z", "+00:00")
        zone = zone if ":" in zone or not zone else f"{zone[:3]}:{zone[3:]}"
        clock = f"{int(found[9]):02}:{found[10]}:{found[11] or '00'}"
        return datetime.fromisoformat(f"{found[1]}-{int(month):02}-{int(day):02}T{clock}{zone}")
    except ValueError:
        raise _no_date(text, name) from None


def _no_date(text: str, name: str) -> InvalidRequest:
    return invalid_request(
        Sentence(
            "{name}, {text}, is no date such as 2026-11-30: write it so in the list, or "
            "use the column without a format.",
            name=name,
            text=quote(text),
        )
    )


def _format(value: date | time, spec: str, name: str) -> str:
    if isinstance(value, (datetime, time)) and value.utcoffset() not in (None, _CHINA_OFFSET):
        raise invalid_request(
            Sentence(
                "{name}, {isoformat}, is in another time zone than China's: convert it in the "
                "list.",
                name=name,
                isoformat=value.isoformat(),
            )
        )
    if spec:
        return _DIRECTIVE.sub(lambda found: _directive(value, found, spec, name), spec)
    if not isinstance(value, (datetime, time)):
        return value.isoformat()
    clock = f"{value.hour:02}:{value.minute:02}" + (f":{value.second:02}" if value.second else "")
    if isinstance(value, time):
        return clock
    # A spreadsheet's and pandas' dates are midnights.
    is_date = (value.hour, value.minute, value.second) == (0, 0, 0)
    return value.date().isoformat() + ("" if is_date else f" {clock}")


def _directive(value: date | time, found: re.Match[str], spec: str, name: str) -> str:
    letter = found[2]
    if letter is None:
        return "%"
    missing = "date" if letter in _DATE_DIRECTIVES else "time"
    has = isinstance(value, date) if missing == "date" else isinstance(value, (datetime, time))
    if not has:
        raise invalid_request(
            Sentence(
                "{name}, {isoformat}, has no {missing}, but the message writes it as "
                "{spec}: fix the list, or the message.",
                name=name,
                isoformat=value.isoformat(),
                missing=missing,
                spec=repr(spec),
            )
        )
    each: Any = value
    number = {
        "Y": lambda: f"{each.year:04}",
        "y": lambda: f"{each.year % 100:02}",
        "m": lambda: f"{each.month:02}",
        "d": lambda: f"{each.day:02}",
        "H": lambda: f"{each.hour:02}",
        "I": lambda: f"{each.hour % 12 or 12:02}",
        "M": lambda: f"{each.minute:02}",
        "S": lambda: f"{each.second:02}",
    }[letter]()
    return (number.lstrip("0") or "0") if found[1] else number
