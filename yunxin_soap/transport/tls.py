"""TLS as a layer without I/O, over `ssl.MemoryBIO`. TLS inside TLS is two layers."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import TypeVar

from yunxin_soap.transport.http11 import Steps

_T = TypeVar("_T")
_READ_BYTES = 65536
_RECORD_HEADER_BYTES = 5
"""The type, the version and, in two bytes, the length of a record."""


class TlsLayer:
    """The client's side of one TLS connection.

    Args:
        context: decides what is trusted, and whether the host name is checked.
        host: the name or the address of the server.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._has_ended = False
        """Whether the server has sent close_notify, or closed the connection."""
        self._header = b""
        """The first bytes of a record, until its header is complete."""
        self._record_left = 0
        """Bytes of the current record that have not arrived."""

    def handshake(self) -> Steps[None]:
        """Do the handshake.

        Its last bytes stay in the layer, and go out with the first bytes that it carries.

        Raises:
            ssl.SSLError: it failed; the certificate is not trusted, for example.
        """
        while not self._shake_hands():
            self._receive((yield self._to_send.read()))

    def _shake_hands(self) -> bool:
        """Continue the handshake, and return whether it is complete."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way: the server has neither ended TLS nor begun a record.

        The rest of a record that has begun could be a surplus response, and be read as the next
        one. OpenSSL does not tell whether it holds a part of a record.
        """
        return not (self._has_ended or self._header or self._record_left)

    def _follow_records(self, data: bytes) -> None:
        start = 0
        while start < len(data):
            if self._record_left:
                count = min(self._record_left, len(data) - start)
                self._record_left -= count
            else:
                count = min(_RECORD_HEADER_BYTES - len(self._header), len(data) - start)
                self._header += data[start : start + count]
                if len(self._header) == _RECORD_HEADER_BYTES:
                    self._record_left = int.from_bytes(self._header[-2:], "big")
                    self._header = b""
            start += count

    def _receive(self, data: bytes) -> None:
        if data:
            self._follow_records(data)
            self._received.write(data)
        else:
            self._received.write_eof()

    def carry(self, steps: Steps[_T]) -> Steps[_T]:
        """Run steps over this layer: encrypt what they send, and decrypt what they receive."""
        try:
            self._encrypt(next(steps))
            while True:
                plain: bytes | None = None
                while plain is None:
                    received = b"" if self._has_ended else (yield self._to_send.read())
                    plain = self._decrypt(received)
                self._encrypt(steps.send(plain))
        except StopIteration as end:
            result: _T = end.value
            return result

    def _encrypt(self, data: bytes | memoryview) -> None:
        if data:
            self._tls.write(data)

    def _decrypt(self, received: bytes) -> bytes | None:
        """Return what was decrypted, ``b""`` at the end, or None if more bytes are needed."""
        self._receive(received)
        plain = bytearray()
        try:
            while piece := self._tls.read(_READ_BYTES):
                plain += piece
        except ssl.SSLWantReadError:
            return bytes(plain) or None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # many servers close without TLS's close_notify
        self._has_ended = True
        return bytes(plain)


def through(layers: Sequence[TlsLayer], steps: Steps[_T]) -> Steps[_T]:
    """Run steps over layers, of which the first is the outermost."""
    for layer in reversed(layers):
        steps = layer.carry(steps)
    return steps
