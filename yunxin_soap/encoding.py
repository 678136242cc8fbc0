"""Opens text files of unknown encoding, standard input and pipes among them."""

from __future__ import annotations

import codecs
import io
import itertools
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from yunxin_soap.charsets import best_fit, is_utf_8
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

_BLOCK = 1 << 20
"""Bytes read at once."""
_MAX_BYTES = 4 << 30
"""Bytes of a list, at most."""
_MAX_LINE = 1 << 18
"""Characters of a line that is read in any case. Up to a block more may be read in one."""
_SAMPLE = 1 << 12
"""Bytes of lines that are not ASCII by which the encoding is judged."""
_SMALL_SAMPLE = 1 << 11
"""The same for a text that is valid UTF-8: one in GBK seldom is, and never a long one."""
_HEAD = 1 << 12
_NON_ASCII = re.compile(rb"[\x80-\xff][^\r\n]*")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # it starts with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    ("\ufeff".encode("gb18030"), "gb18030"),
)
WORKBOOK_MARK = b"PK\x03\x04"
"""The first bytes of an ``.xlsx`` file, which is a zip file."""
OLD_WORKBOOK_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of an ``.xls`` file, and of a workbook with a password."""
_WORKBOOK_MARKS = (WORKBOOK_MARK, OLD_WORKBOOK_MARK)
OLD_WORKBOOK = (
    "is an old or a protected Excel workbook: open it, remove its password, and save it as .xlsx"
)
"""What a file of Microsoft's compound format is, as the rest of a sentence."""
_SAVE_AS = "open it in Excel and save it as .xlsx, or as CSV"
_OTHER_FORMATS = (
    (re.compile(rb"%PDF-"), "is a PDF file: ask for the list as a workbook or as CSV"),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\0\0\0\0", re.DOTALL), "is a picture"),
    (
        re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd"),
        "is packed: unpack it",
    ),
    (re.compile(rb"\{\\rtf"), "is a text document (RTF): copy its table into a workbook"),
    (re.compile(rb"SQLite format 3\0|PAR1"), "is a database file: export the list as CSV"),
    (
        re.compile(rb"\s*<\?xml|\s*<workbook", re.IGNORECASE),
        f"is an XML file, as some systems export it under the name .xls: {_SAVE_AS}",
    ),
    (
        re.compile(
            rb"\s*<(?:!doctype|!--|html|head|body|meta|style|script|div|table)", re.IGNORECASE
        ),
        f"is an HTML page, as some systems export it under the name .xls: {_SAVE_AS}",
    ),
    (
        re.compile(rb'\s*(?:\[\s*)?\{\s*"[^"]*"\s*:'),
        "is JSON: read it in Python, and plan its rows",
    ),
)
"""The starts of files that are no lists, and the rest of the sentence about each."""
_ESCAPES = (
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
    (re.compile(rb"\x1b[$(][@A-J]"), "iso2022_jp"),
    (re.compile(rb"~\{(?:[!-}][!-~])+~\}"), "hz"),
)
"""What switches to other characters in encodings of 7 bits, which look like ASCII."""
_UTF_7 = re.compile(rb"\+([A-Za-z0-9+/]{3,})-?")
_CHINESE_TEXT = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+")
_THREE_BYTES = re.compile("[\u0800-\uffff]")
REPLACEMENT_CHARACTER = "\ufffd"
"""What replaces bytes that the encoding cannot decode."""


def open_text(file: str | os.PathLike[str] | IO[bytes], encoding: str | None) -> io.TextIOWrapper:
    """Open a text file and detect its encoding.

    Undecodable bytes become U+FFFD, so that they cost only their own line.

    Args:
        file: a path, or an open binary file. What cannot be rewound is copied to a temporary file.
        encoding: its name; None to detect UTF-8, GBK or UTF-16.

    Returns:
        The text at its start, with its line ends as they are. The caller closes it.

    Raises:
        ConfigurationError: the file cannot be read or is a workbook, the encoding does not exist,
            half of the lines or more cannot be decoded, another encoding fits better than GBK, or
            the file has more than 4 GiB or a line of more than 1 MiB.
    """
    binary = open_binary(file)
    try:
        return _decode(binary, encoding)
    except OSError as error:
        raise _cannot_be_read(file, error) from None
    except (LookupError, UnicodeError):  # UnicodeError: the codec supports no replacement
        raise ConfigurationError(
            Sentence(
                "There is no encoding {encoding}: name another with encoding=, or leave it out.",
                encoding=repr(encoding),
            )
        ) from None


def open_binary(file: str | os.PathLike[str] | IO[bytes], *, is_text: bool = True) -> IO[bytes]:
    """Open a file of bytes that can be rewound.

    Args:
        file: a path, or an open binary file. What cannot be rewound is copied to a temporary file.
        is_text: whether it has lines, so that a block without the end of one is an error.

    Returns:
        The file at its start. The caller closes it.

    Raises:
        ConfigurationError: the file cannot be read, or has more than 4 GiB or an endless line.
    """
    try:
        if not isinstance(file, (str, os.PathLike)):
            _check_no_device(file)
            return _copy(file, is_text)
        binary = Path(file).open("rb")  # noqa: SIM115 - the caller closes it
        if binary.seekable():
            try:
                _check_no_device(binary)
            except ConfigurationError:
                binary.close()
                raise
            return binary
        with binary:  # a pipe, such as the shell's <(...)
            return _copy(binary, is_text)
    except OSError as error:
        raise _cannot_be_read(file, error) from None


def _check_no_device(file: IO[bytes]) -> None:
    """Check that a file is no device without an end, such as ``/dev/urandom``.

    A terminal and ``/dev/null`` have an end.
    """
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):  # no file of the system, such as BytesIO
        return
    if not stat.S_ISCHR(status.st_mode) or file.isatty():
        return
    null = Path(os.devnull)
    if null.exists() and os.path.samestat(status, null.stat()):
        return
    raise ConfigurationError("The list is a device, which may have no end: give a file.")


def _cannot_be_read(file: str | os.PathLike[str] | IO[bytes], error: OSError) -> ConfigurationError:
    shown = os.fspath(file) if isinstance(file, (str, os.PathLike)) else "the input"
    return ConfigurationError(
        Sentence(
            "{shown} cannot be read ({problem}): check its name and its permissions.",
            shown=shown,
            problem=error.strerror,
        )
    )


def _decode(binary: IO[bytes], encoding: str | None) -> io.TextIOWrapper:
    try:
        name = _detect(binary, encoding)
        text = io.TextIOWrapper(binary, name, "replace", newline="")
        text.read(1)  # fails now, not in the middle of the list, if the codec cannot replace
        text.seek(0)
    except BaseException:
        binary.close()
        raise
    return text


def _copy(file: IO[bytes], is_text: bool) -> IO[bytes]:
    # A pipe can be read only once, and the byte that decides on the encoding may be its last.
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        for block in _blocks(file):
            # A stream without an end must not fill the disk.
            if is_text and len(block) == _BLOCK and b"\n" not in block and b"\r" not in block:
                raise _endless_line()
            is_start = copy.tell() == 0
            copy.write(block)
            # The start says that it is no workbook, and the rest may be endless.
            if is_start and not is_text and not block.startswith(_WORKBOOK_MARKS):
                break
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _blocks(binary: IO[bytes]) -> Iterator[bytes]:
    size = 0
    while block := binary.read(_BLOCK):
        size += len(block)
        if size > _MAX_BYTES:
            raise ConfigurationError(
                Sentence(
                    "The list has more than {max_bytes} GiB: split it.", max_bytes=_MAX_BYTES >> 30
                )
            )
        yield block


def _endless_line() -> ConfigurationError:
    return ConfigurationError(
        Sentence(
            "The list has a line of more than {max_line} characters: it is no list of "
            "numbers, or its lines have no ends.",
            max_line=_MAX_LINE,
        )
    )


def _detect(binary: IO[bytes], named: str | None) -> str:
    """Return the encoding of a file: the one that decodes all lines, or else the most.

    Args:
        binary: the file, at its start.
        named: the encoding that the caller named; no other is tried then.

    Raises:
        ConfigurationError: it is no text, half of the lines or more cannot be decoded, or another
            encoding fits better than GBK.
    """
    head = binary.read(_HEAD)
    if head.startswith(OLD_WORKBOOK_MARK):
        raise ConfigurationError(Sentence("The list {old_workbook}.", old_workbook=OLD_WORKBOOK))
    if head.startswith(WORKBOOK_MARK):
        raise ConfigurationError(
            "The list is an Excel workbook: read it as one (Excel, --excel), or save it as CSV."
        )
    check_format(head)
    if named is not None:
        io.TextIOWrapper(io.BytesIO(), named)  # LookupError for a codec of bytes to bytes
    known = named or _marked_or_utf_16(head)
    if known:
        if _decode_all(binary, known) is None:
            _check_majority(_count_lines(binary, known), named)
        return known
    is_ascii = _decode_all(binary, "utf-8-sig")
    if is_ascii is None:
        return _choose_by_lines(binary)
    if is_ascii:
        _check_7_bits(head)
        return "utf-8-sig"
    return _choose_by_words(binary)


def _check_7_bits(head: bytes) -> None:
    """Check that ASCII is no other encoding without a byte of more than 7 bits."""
    found = [name for escape, name in _ESCAPES if escape.search(head)]
    encoded = [each[0] for each in _UTF_7.finditer(head) if not each[1].isdigit()]
    decoded = [each.removesuffix(b"-") + b"-" for each in encoded]
    if len(encoded) > 1 and all(
        _CHINESE_TEXT.fullmatch(each.decode("utf-7", "replace")) for each in decoded
    ):
        found.append("utf-7")
    if found:
        raise _neither((found[0],))


def check_format(head: bytes) -> None:
    """Check by its start that a file is none of a usual kind that holds no list.

    Raises:
        ConfigurationError: it is a picture, an HTML page or the like.
    """
    bare = head.removeprefix(codecs.BOM_UTF8)
    for start, what in _OTHER_FORMATS:
        if start.match(bare):
            raise ConfigurationError(Sentence("The list {what}.", what=what))


def _choose_by_lines(binary: IO[bytes]) -> str:
    """Return the encoding of a text that is not valid UTF-8, at least not in every line."""
    name, count = "utf-8-sig", _count_lines(binary, "utf-8-sig")
    # Most byte sequences are valid GBK, and few are valid UTF-8. So GBK needs better evidence:
    # it is tried only if most lines that are not ASCII are invalid UTF-8.
    if count.undecodable > count.typical:
        fit = best_fit(_sample(binary))
        if fit.likely:
            raise _neither(fit.likely)
        # gb18030 is a superset of GBK and of GB2312, so it decodes a list in any of the three.
        if fit.encoding == "gb18030":
            if _decode_all(binary, fit.encoding) is not None:
                return fit.encoding
            gbk_count = _count_lines(binary, fit.encoding)
            if gbk_count.undecodable < count.undecodable:
                name, count = fit.encoding, gbk_count
    _check_majority(count, None)
    return name


def _check_majority(count: _LineCount, named: str | None) -> None:
    if count.undecodable * 2 >= count.lines:
        if named is None:
            raise _neither(())
        raise ConfigurationError(
            Sentence(
                "The list is not {named} text: name its encoding with encoding=, or leave it "
                "out to have it detected.",
                named=named,
            )
        )


def _choose_by_words(binary: IO[bytes]) -> str:
    """Return the encoding of a text that is valid UTF-8, as some words in GBK are, such as 联通."""
    is_certain = is_utf_8(_sample(binary, _SMALL_SAMPLE))
    if is_certain is None:
        raise ConfigurationError(
            "The list could be UTF-8 or GBK text: name its encoding with encoding=."
        )
    is_gbk = not is_certain and _decode_all(binary, "gb18030") is not None
    return "gb18030" if is_gbk else "utf-8-sig"


def _neither(likely: tuple[str, ...]) -> ConfigurationError:
    """Return the error for a list of unknown encoding, with those that it may have."""
    what = "The list is neither UTF-8 nor GBK text"
    if not likely:
        return ConfigurationError(
            Sentence("{what}: name its encoding with encoding=, or save it as UTF-8.", what=what)
        )
    named = " or ".join(filter(None, (", ".join(likely[:-1]), likely[-1])))
    if likely[0] == "gb18030":
        return ConfigurationError(
            Sentence(
                "The list is no UTF-8 text, and could be {named}: name its encoding with "
                "encoding=, or save it as UTF-8.",
                named=named,
            )
        )
    advice = f"encoding={likely[0]!r}" if len(likely) == 1 else "encoding="
    return ConfigurationError(
        Sentence(
            "{what}: {named} fits it best. If it is that, say so with {advice}, or save "
            "the list as UTF-8.",
            what=what,
            named=named,
            advice=advice,
        )
    )


def _marked_or_utf_16(head: bytes) -> str | None:
    """Return the encoding if the file's mark names it, or its zero bytes show UTF-16 or UTF-32."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    # Each character of UTF-32 is less than 0x110000.
    if len(head) >= 8:
        if not any(head[0::4]) and max(head[1::4]) <= 0x10:
            return "utf-32-be"
        if not any(head[3::4]) and max(head[2::4]) <= 0x10:
            return "utf-32-le"
    # A list has digits, commas and line ends. One of the two bytes of each of them is zero.
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > len(head) // 20 and even <= odd // 20:
        return "utf-16-le"
    return "utf-16-be" if even > len(head) // 20 and odd <= even // 20 else None


def _sample(binary: IO[bytes], enough: int = _SAMPLE) -> bytes:
    """Return the first lines that are not ASCII, until they have so many bytes."""
    binary.seek(0)
    lines: list[bytes] = []
    size = 0
    for block in _blocks(binary):
        if block.isascii():
            continue
        # To look for the line's start from there is fast, however few lines are not ASCII.
        for found in _NON_ASCII.finditer(block):
            start = 1 + max(block.rfind(end, 0, found.start()) for end in (b"\r", b"\n"))
            lines.append(block[start : found.end()])
            size += len(lines[-1])
            if size > enough:
                break
        else:
            continue
        break
    binary.seek(0)
    return b"\n".join(lines)[: 2 * enough]


def _decode_all(binary: IO[bytes], encoding: str) -> bool | None:
    """Decode a whole file; return whether it is ASCII, or None if there is an error in it."""
    decoder = codecs.getincrementaldecoder(encoding)()
    binary.seek(0)
    unended = 0
    is_ascii = True
    try:
        for block in _blocks(binary):
            text = decoder.decode(block)
            end = max(text.rfind("\n"), text.rfind("\r"))
            unended = len(text) - end - 1 if end >= 0 else unended + len(text)
            if unended > _MAX_LINE:
                raise _endless_line()
            is_ascii = is_ascii and text.isascii()
        decoder.decode(b"", final=True)
    except UnicodeError:
        return None
    finally:
        binary.seek(0)
    return is_ascii


class _LineCount(NamedTuple):
    """The lines of a text in one encoding that are not empty."""

    lines: int
    typical: int
    """Those that are decoded, and have a character of three bytes in UTF-8, as Chinese has."""
    undecodable: int
    """Lines with at least one byte sequence that is invalid in the encoding."""


def _count_lines(binary: IO[bytes], encoding: str) -> _LineCount:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    binary.seek(0)
    lines = typical = undecodable = 0
    rest = ""
    try:
        for block in itertools.chain(_blocks(binary), [b""]):
            text = rest + decoder.decode(block, final=not block)
            *complete, rest = text.replace("\r", "\n").split("\n")
            if len(rest) > _MAX_LINE:
                raise _endless_line()
            if not block:
                complete.append(rest)
            lines += sum(map(bool, complete))
            for line in complete:
                if line.isascii():
                    continue
                if REPLACEMENT_CHARACTER in line:
                    undecodable += 1
                else:
                    typical += bool(_THREE_BYTES.search(line))
    except UnicodeError:  # the codec supports no replacement
        return _LineCount(1, 0, 1)
    finally:
        binary.seek(0)
    return _LineCount(lines, typical, undecodable)
