"""Opens text files whose encoding may not be known, standard input among them."""

from __future__ import annotations

import codecs
import io
import os
import tempfile
from pathlib import Path
from typing import IO, NamedTuple

from yunxin_soap.errors import ConfigurationError

_BLOCK = 1 << 20
UNREADABLE = "\ufffd"
"""Stands where bytes are no text in the list's encoding."""


def opened(file: str | os.PathLike[str] | IO[bytes], encoding: str | None) -> io.TextIOWrapper:
    """Open a text whose encoding may not be known.

    Raises:
        ConfigurationError: it cannot be read, or most of it is in no encoding that is known.
    """
    try:
        if isinstance(file, (str, os.PathLike)):
            binary: IO[bytes] = Path(file).open("rb")  # noqa: SIM115 - the caller closes it
            if not binary.seekable():  # a pipe, as the shell's <(…) is
                with binary:
                    binary = _copied(binary)
        else:
            binary = _copied(file)
        return _read_as(binary, encoding)
    except OSError as error:
        shown = os.fspath(file) if isinstance(file, (str, os.PathLike)) else "the input"
        raise ConfigurationError(f"{shown} cannot be read ({error.strerror}).") from None
    except (LookupError, UnicodeError):  # the latter where nothing can be replaced
        raise ConfigurationError(f"There is no encoding {encoding!r}.") from None


def _read_as(binary: IO[bytes], encoding: str | None) -> io.TextIOWrapper:
    try:
        name = _encoding(binary, encoding)
        # What cannot be read is U+FFFD, and costs its own line.
        text = io.TextIOWrapper(binary, name, "replace", newline="")
        text.read(1)  # whether anything can be replaced in that encoding
        text.seek(0)
    except BaseException:
        binary.close()
        raise
    return text


def _copied(file: IO[bytes]) -> IO[bytes]:
    # Standard input can be read once, and its encoding shows at its end at the latest.
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    while block := file.read(_BLOCK):
        copy.write(block)
    copy.seek(0)
    return copy


def _encoding(binary: IO[bytes], named: str | None) -> str:
    """Return the encoding in which a text can be read, but for a few lines."""
    marked = binary.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    usual = ("utf-16",) if marked else ("utf-8-sig", "gb18030")
    first, *others = (named,) if named else usual
    if _is_readable(binary, first):
        return first
    found, counted = first, _count(binary, first)
    # Almost any bytes are GBK, but few of them are UTF-8.
    for other in others if counted.bad > counted.other // 2 else ():
        in_it = _count(binary, other)
        if in_it.bad < counted.bad:
            found, counted = other, in_it
    if counted.bad * 2 >= counted.lines:
        raise ConfigurationError(
            f"The list is not {named} text: name its encoding, or leave it out to have it found."
            if named
            else "The list is neither UTF-8 nor GBK text: name its encoding."
        )
    return found


def _is_readable(binary: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    binary.seek(0)
    try:
        while block := binary.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except (ValueError, TypeError):  # of some encodings that make no text, others
        return False
    finally:
        binary.seek(0)
    return True


class _Count(NamedTuple):
    """Lines of a text in an encoding."""

    lines: int
    other: int
    """Those that are not plain ASCII."""
    bad: int
    """Those of them with something that cannot be read."""


def _count(binary: IO[bytes], encoding: str) -> _Count:
    binary.seek(0)
    text = io.TextIOWrapper(binary, encoding, "replace", newline="\n")
    lines = other = bad = 0
    try:
        for line in text:
            lines += 1
            if not line.isascii():
                other += 1
                bad += UNREADABLE in line
    except UnicodeError:  # of some encodings that no text is in
        return _Count(1, 1, 1)
    finally:
        text.detach()
        binary.seek(0)
    return _Count(lines, other, bad)
