"""Read request bodies within one memory limit for all connections together."""

from __future__ import annotations

from aiohttp import web


class ReadingLimitExceeded(Exception):
    """All connections together are reading more bytes than the limit."""


class BodyReader:
    """Reads request bodies; all connections share one instance.

    Args:
        max_reading: the most bytes that all bodies being read may have together.
    """

    def __init__(self, max_reading: int) -> None:
        self._max_reading = max_reading
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
                if self._reading > self._max_reading:
                    raise ReadingLimitExceeded(
                        f"The sandbox is already reading more than {self._max_reading >> 20} MiB"
                        " of request bodies."
                    )
            return bytes(body), False
        finally:
            self._reading -= len(body)
