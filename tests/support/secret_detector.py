"""A distinctive password, proxy password and numbers, and checks that no text contains them."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from contextlib import contextmanager

PASSWORD = "s3cr3t&密码"
PROXY_USER = "us%65r:pr0xy%40s3cr3t"
"""User name and password of a proxy, as its address spells them."""
PROXY_AUTHORIZATION = "Basic " + base64.b64encode(b"user:pr0xy@s3cr3t").decode()
"""The header that a proxy gets for `PROXY_USER`."""
NUMBERS = ("13900000000", "13900005678")

# Only parts of the password: encoding the complete password cannot hide all of them.
_SECRETS = ("s3cr3t", "密码", "%e5%af%86", "&#23494;", r"\u5bc6", *NUMBERS)


def assert_no_secret(*texts: str) -> None:
    """Fail if a text contains a part of a password, or a number."""
    for text in texts:
        found = [secret for secret in _SECRETS if secret in text.lower()]
        assert not found, f"{found} in {text}"


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
