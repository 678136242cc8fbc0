"""The error responses of the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class ApiError(Exception):
    """An error response of the REST API.

    Args:
        status: the HTTP status.
        message: what is wrong and what to do, for people: a `Sentence`, so that the response can be
            in the reader's language.
        headers: further response headers.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
