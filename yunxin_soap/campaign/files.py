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


def opened(file: str | os.PathLike[str] | IO[bytes], encoding: str | None) -> io.TextIOWrapper:
    """Open a text whose encoding may not be known."""
    try:
        if isinstance(file, (str, os.PathLike)):
            binary: IO[bytes] = Path(file).open("rb")  # noqa: SIM115 - the caller closes it
            if not binary.seekable():  # a pipe, as the shell's <(…) is
                with binary:
                    binary = _copied(binary)
        else:
            binary = _copied(file)
        try:
            name = encoding or _encoding(binary)
            return io.TextIOWrapper(binary, name, newline="")
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


def _encoding(binary: IO[bytes]) -> str:
    for name in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(name)()
        binary.seek(0)
        try:
            while block := binary.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        finally:
            binary.seek(0)
        return name
    raise ConfigurationError("The list is neither UTF-8 nor GBK text: name its encoding.")
