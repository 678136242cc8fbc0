"""A distinctive password, proxy password and numbers, and checks that nothing shows them.

`assert_no_secret` searches texts, `assert_no_secret_logged` log lines, and `assert_no_secret_kept`
everything that an error keeps: its chain, and the local variables of all frames, as test runners
and error reporters print them.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from urllib.parse import quote

from _pytest._io.saferepr import saferepr
from rich.pretty import pretty_repr

import yunxin_soap

PASSWORD = "s3cr3t&密码"
PROXY_USER = "us%65r:pr0xy%40s3cr3t"
"""User name and password of a proxy, as its address spells them."""
PROXY_AUTHORIZATION = "Basic " + base64.b64encode(b"user:pr0xy@s3cr3t").decode()
"""The header that a proxy gets for `PROXY_USER`."""
NUMBERS = ("13900000000", "13900005678")

_TESTS = str(Path(__file__).parents[1])
_PACKAGE = str(Path(yunxin_soap.__file__).parent)


def _in_base64(octets: bytes) -> Iterator[str]:
    """Yield what base64 makes of some octets, whatever precedes them and follows them."""
    for shift in range(3):
        rest = -(shift + len(octets)) % 3
        encoded = base64.b64encode(b"\0" * shift + octets + b"\0" * rest).decode()
        part = encoded[-(-shift * 4 // 3) : -4 if rest else None]
        if len(part) >= 5:  # a shorter one is found everywhere
            yield part


def _spellings(*secrets: str) -> list[str]:
    """Return how parts of secrets look in any encoding, in small letters."""
    found: dict[str, None] = {}
    for secret in secrets:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            octets = secret.encode(encoding)
            found[repr(octets)[2:-1]] = None
            found.update(dict.fromkeys(_in_base64(octets)))
        found[secret] = found[quote(secret, safe="")] = found[html.escape(secret)] = None
        found[json.dumps(secret)[1:-1]] = None
        found["".join(f"&#{ord(char)};" for char in secret)] = None
        found["".join(f"&#x{ord(char):x};" for char in secret)] = None
    return [spelling.lower() for spelling in found]


# Only parts of the passwords: encoding all of one cannot hide each part.
_PASSWORDS = _spellings("s3cr3t", "密码", "pr0xy@")


def assert_no_password(*texts: str) -> None:
    """Fail if a text contains a part of a password, in any encoding."""
    for text in texts:
        found = [part for part in _PASSWORDS if part in text.lower()]
        assert not found, f"{found} in {text}"


def assert_no_secret(*texts: str) -> None:
    """Fail if a text contains a part of a password, in any encoding, or a number."""
    assert_no_password(*texts)
    for text in texts:
        assert not any(number in text for number in NUMBERS), text


@contextmanager
def assert_no_secret_logged() -> Iterator[None]:
    """Fail if any logger logs a secret inside the ``with`` block, at DEBUG or above."""

    class ListHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    lines: list[str] = []
    handler, root = ListHandler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert_no_secret(*lines)


def chain(error: BaseException) -> list[BaseException]:
    """Return an error with every one that it leads to: causes, contexts and those of a group."""
    found: dict[int, BaseException] = {}
    pending: list[object] = [error]
    while pending:
        each = pending.pop()
        if isinstance(each, BaseException) and id(each) not in found:
            found[id(each)] = each
            pending += (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
    return list(found.values())


def strip_test_frames(error: BaseException) -> BaseException:
    """Remove the frames of the test that called the package: it may know the password."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)


def _frames(trace: TracebackType | None) -> list[FrameType]:
    """Return the frames of a traceback without those of the test that called the package."""
    frames = [frame for frame, _ in traceback.walk_tb(trace)]
    files = [frame.f_code.co_filename for frame in frames]
    # A call with wrong arguments may never enter the package.
    first = next((at for at, name in enumerate(files) if name.startswith(_PACKAGE)), len(files))
    return [
        frame
        for at, (frame, name) in enumerate(zip(frames, files, strict=True))
        if at >= first or not name.startswith(_TESTS)
    ]


def _printed(value: object) -> Iterator[str]:
    """Yield a value as ``traceback``, pytest and rich print a local variable, but not truncated."""
    yield repr(value)
    yield saferepr(value, maxsize=None)
    yield pretty_repr(value, max_length=100, max_depth=4)


def secrets_kept(error: BaseException) -> list[str]:
    """Return where an error shows a password: in its chain, or in a variable of a frame.

    Frames of the test that called the package are not searched. Those of a transport that the
    package called are.
    """
    found = []
    for each in chain(error):
        name = type(each).__name__
        for text in (str(each), repr(each), repr(each.args), repr(vars(each))):
            found += [f"{name}: {text}" for part in _PASSWORDS if part in text.lower()]
        for frame in _frames(each.__traceback__):
            where = f"{name}, {frame.f_code.co_filename}:{frame.f_code.co_name}"
            for variable, value in frame.f_locals.items():
                texts = "\n".join(_printed(value)).lower()
                found += [f"{where}: {variable}" for part in _PASSWORDS if part in texts]
    return list(dict.fromkeys(found))


def assert_no_secret_kept(error: BaseException) -> None:
    """Fail if an error, or one that it leads to, keeps a password; see `secrets_kept`."""
    kept = secrets_kept(error)
    assert not kept, "\n".join(kept)
