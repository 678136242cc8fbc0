"""`AsyncLedger`: the ledger for asyncio; what touches the database runs in a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from yunxin_soap.campaign.leases import LEASE
from yunxin_soap.campaign.ledger import Ledger
from yunxin_soap.campaign.planning import Plan, Refused
from yunxin_soap.campaign.queries import Found, Status
from yunxin_soap.campaign.states import State

if TYPE_CHECKING:
    from typing_extensions import Self

    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.results import Receipt


_T = TypeVar("_T")
_ROWS = 1000
"""Rows read in one go."""


class AsyncLedger:
    """The methods of `Ledger` as coroutines, with the same arguments and errors.

    Args:
        where: as `Ledger`.
        lease: as `Ledger`.
    """

    def __init__(self, where: str | os.PathLike[str] | None = None, *, lease: float = LEASE):
        self._ledger = Ledger(where, lease=lease)

    async def plan(self, name: str, source: Any, message: str, **options: Any) -> Plan:
        """See `Ledger.plan`; what it calls back is called from a thread."""
        return await asyncio.to_thread(self._ledger.plan, name, source, message, **options)

    async def run(self, name: str, client: AsyncClient, **options: Any) -> Status:
        """See `Ledger.run_async`."""
        return await self._ledger.run_async(name, client, **options)

    async def send_once(
        self,
        client: AsyncClient,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
    ) -> Receipt:
        """See `Ledger.send_once`."""
        return await self._ledger.send_once_async(client, key, recipients, message)

    async def campaigns(self) -> list[str]:
        """See `Ledger.campaigns`."""
        return await asyncio.to_thread(self._ledger.campaigns)

    async def status(self, name: str) -> Status:
        """See `Ledger.status`."""
        return await asyncio.to_thread(self._ledger.status, name)

    async def resume(self, name: str) -> None:
        """See `Ledger.resume`."""
        await asyncio.to_thread(self._ledger.resume, name)

    async def retry(self, name: str, *, code: int | None = None, by: str) -> int:
        """See `Ledger.retry`."""
        return await asyncio.to_thread(self._ledger.retry, name, code=code, by=by)

    async def resolve(
        self,
        name: str,
        decision: Literal["resend", "accepted", "rejected"],
        *,
        by: str,
        submits: Iterable[int] | None = None,
        batch_no: str | None = None,
    ) -> int:
        """See `Ledger.resolve`."""
        return await asyncio.to_thread(
            self._ledger.resolve, name, decision, by=by, submits=submits, batch_no=batch_no
        )

    async def resolve_once(
        self,
        key: str,
        decision: Literal["resend", "accepted", "rejected"],
        *,
        by: str,
        batch_no: str | None = None,
    ) -> None:
        """See `Ledger.resolve_once`."""
        await asyncio.to_thread(self._ledger.resolve_once, key, decision, by=by, batch_no=batch_no)

    def results(
        self, name: str
    ) -> AsyncIterator[tuple[str, State, str | None, int | None, str, int]]:
        """See `Ledger.results`."""
        return _in_threads(self._ledger.results(name))

    def refused(self, name: str) -> AsyncIterator[Refused]:
        """See `Ledger.refused`."""
        return _in_threads(self._ledger.refused(name))

    async def find(self, number: str | int) -> list[Found]:
        """See `Ledger.find`."""
        return await asyncio.to_thread(self._ledger.find, number)

    async def purge(self, *, older_than: float) -> int:
        """See `Ledger.purge`."""
        return await asyncio.to_thread(self._ledger.purge, older_than=older_than)

    async def close(self) -> None:
        """See `Ledger.close`."""
        await asyncio.to_thread(self._ledger.close)

    async def __aenter__(self) -> Self:
        """Return the ledger itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()


async def _in_threads(rows: Iterator[_T]) -> AsyncIterator[_T]:
    while part := await asyncio.to_thread(lambda: list(islice(rows, _ROWS))):
        for row in part:
            yield row
