"""Opens text files of unknown encoding, standard input and pipes among them."""

from __future__ import annotations

import codecs
import io
import os
import tempfile
from pathlib import Path
from typing import IO, NamedTuple

from yunxin_soap.errors import ConfigurationError

_BLOCK = 1 << 20
"""Bytes read at once."""
REPLACEMENT_CHARACTER = "\ufffd"
"""What replaces bytes that the encoding cannot decode."""


def open_text(file: str | os.PathLike[str] | IO[bytes], encoding: str | None) -> io.TextIOWrapper:
    """Open a text file and detect its encoding.

    Undecodable bytes become U+FFFD, so that they cost only their own line.

    Args:
        file: a path, or an open binary file. What cannot be rewound is copied to a temporary file.
        encoding: its name; None to detect UTF-8, GBK, or UTF-16 with a byte order mark.

    Returns:
        The text at its start. The caller closes it.

    Raises:
        ConfigurationError: the file cannot be read, the encoding does not exist, or half of the
            lines or more cannot be decoded.
    """
    try:
        if isinstance(file, (str, os.PathLike)):
            binary: IO[bytes] = Path(file).open("rb")  # noqa: SIM115 - the caller closes it
            if not binary.seekable():  # a pipe, such as the shell's <(...)
                with binary:
                    binary = _copy(binary)
        else:
            binary = _copy(file)
        return _decode(binary, encoding)
    except OSError as error:
        shown = os.fspath(file) if isinstance(file, (str, os.PathLike)) else "the input"
        raise ConfigurationError(f"{shown} cannot be read ({error.strerror}).") from None
    except (LookupError, UnicodeError):  # UnicodeError: the codec supports no replacement
        raise ConfigurationError(f"There is no encoding {encoding!r}.") from None


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


def _copy(file: IO[bytes]) -> IO[bytes]:
    # A pipe can be read only once, and the byte that decides on the encoding may be its last.
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        while block := file.read(_BLOCK):
            copy.write(block)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _detect(binary: IO[bytes], named: str | None) -> str:
    """Return the encoding that decodes all lines, or else the most.

    Args:
        binary: the file, at its start.
        named: the encoding that the caller named; no other is tried then.

    Raises:
        ConfigurationError: half of the lines or more cannot be decoded.
    """
    has_utf16_mark = binary.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    # gb18030 is a superset of GBK and of GB2312, so it decodes a list in any of the three.
    candidates = ("utf-16",) if has_utf16_mark else ("utf-8-sig", "gb18030")
    first, *others = (named,) if named else candidates
    if _can_decode(binary, first):
        return first
    best, best_count = first, _count_lines(binary, first)
    # Most byte sequences are valid GBK, and few are valid UTF-8. So GBK needs better evidence:
    # it is tried only if most lines that are not ASCII are invalid UTF-8.
    for other in others if best_count.undecodable > best_count.non_ascii // 2 else ():
        count = _count_lines(binary, other)
        if count.undecodable < best_count.undecodable:
            best, best_count = other, count
    if best_count.undecodable * 2 >= best_count.lines:
        raise ConfigurationError(
            f"The list is not {named} text: name its encoding, or leave it out to have it detected."
            if named
            else "The list is neither UTF-8 nor GBK text: name its encoding."
        )
    return best


def _can_decode(binary: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    binary.seek(0)
    try:
        while block := binary.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except (ValueError, TypeError):  # TypeError: a codec of bytes to bytes, such as hex
        return False
    finally:
        binary.seek(0)
    return True


class _LineCount(NamedTuple):
    """The lines of a text in one encoding."""

    lines: int
    non_ascii: int
    undecodable: int
    """Lines with at least one byte sequence that is invalid in the encoding."""


def _count_lines(binary: IO[bytes], encoding: str) -> _LineCount:
    binary.seek(0)
    text = io.TextIOWrapper(binary, encoding, "replace", newline="\n")
    lines = non_ascii = undecodable = 0
    try:
        for line in text:
            lines += 1
            if not line.isascii():
                non_ascii += 1
                undecodable += REPLACEMENT_CHARACTER in line
    except UnicodeError:  # a codec that is no text encoding
        return _LineCount(1, 1, 1)
    finally:
        text.detach()
        binary.seek(0)
    return _LineCount(lines, non_ascii, undecodable)
