"""Opens text files whose encoding may not be known, standard input among them."""

from __future__ import annotations

import codecs
import io
import os
import tempfile
from pathlib import Path
from typing import IO

from yunxin_soap.errors import ConfigurationError

_BLOCK = 1 << 20
UNREADABLE = "\ufffd"
"""Stands where bytes are no text in the list's encoding."""
_TOO_MANY = 0.5
"""Share of lines that cannot be read, from which on it is the encoding that is wrong."""


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
        try:
            name = _encoding(binary, encoding)
            # What cannot be read is U+FFFD, and costs its own line.
            return io.TextIOWrapper(binary, name, "replace", newline="")
        except BaseException:
            binary.close()
            raise
    except OSError as error:
        shown = os.fspath(file) if isinstance(file, (str, os.PathLike)) else "the input"
        raise ConfigurationError(f"{shown} cannot be read ({error.strerror}).") from None
    except LookupError:
        raise ConfigurationError(f"There is no encoding {encoding!r}.") from None


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
    candidates = (named,) if named else usual
    for name in candidates:
        if _is_readable(binary, name):
            return name
    found = min(candidates, key=lambda name: _unreadable(binary, name))
    if _unreadable(binary, found) >= _TOO_MANY:
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
    except ValueError:  # of some encodings that make no text, no other
        return False
    finally:
        binary.seek(0)
    return True


def _unreadable(binary: IO[bytes], encoding: str) -> float:
    """Return the share of lines with something that cannot be read."""
    binary.seek(0)
    text = io.TextIOWrapper(binary, encoding, "replace", newline="\n")
    try:
        lines = bad = 0
        for line in text:
            lines += 1
            bad += UNREADABLE in line
        return bad / max(1, lines)
    except UnicodeError:
        return 1.0
    finally:
        text.detach()
        binary.seek(0)
