"""Read request bodies within one memory limit for all connections together."""

from __future__ import annotations

from aiohttp import web

MAX_READING = 256 << 20
"""Bytes of all bodies that are being read at the same time."""


class ReadingLimitExceeded(Exception):
    """All connections together are reading more than `MAX_READING` bytes."""


class BodyReader:
    """Reads request bodies; all connections share one instance."""

    def __init__(self) -> None:
        self._reading = 0

    async def read(self, request: web.BaseRequest, limit: int) -> tuple[bytes, bool]:
        """Read the body of a request.

        Args:
            request: the request; nothing of its body has been read yet.
            limit: the most bytes to accept.

        Returns:
            The body, and whether it was longer than ``limit``. A body that is too long is not
            read to its end, and is returned empty.

        Raises:
            ReadingLimitExceeded: other connections already use the shared memory.
        """
        body = bytearray()
        try:
            async for chunk in request.content.iter_any():
                body += chunk
                self._reading += len(chunk)
                if len(body) > limit:
                    return b"", True
                if self._reading > MAX_READING:
                    raise ReadingLimitExceeded(
                        f"The sandbox is already reading more than {MAX_READING >> 20} MiB of"
                        " request bodies."
                    )
            return bytes(body), False
        finally:
            self._reading -= len(body)
