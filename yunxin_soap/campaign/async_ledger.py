"""`AsyncLedger`: the ledger for asyncio; what touches the database runs in a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from yunxin_soap.campaign.ledger import Ledger, RunOptions
from yunxin_soap.campaign.lists import Source
from yunxin_soap.campaign.models import Plan, SkippedLine, State
from yunxin_soap.campaign.planning import PlanOptions
from yunxin_soap.campaign.storage.reads import Status, SubmissionRecord
from yunxin_soap.campaign.storage.runners import LEASE

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.results import Receipt


_P = ParamSpec("_P")
_T = TypeVar("_T")
_K = TypeVar("_K")
_ROWS = 1000
"""Rows read in one go."""


class AsyncLedger:
    """The methods of `Ledger` as coroutines, with the same arguments and errors.

    It is opened, in a thread, when it is first used or entered.

    Args:
        where: as `Ledger`.
        heartbeat_timeout: as `Ledger`.
        create: as `Ledger`.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | None = None,
        *,
        heartbeat_timeout: float = LEASE,
        create: bool = True,
    ) -> None:
        self._open = partial(Ledger, where, heartbeat_timeout=heartbeat_timeout, create=create)
        self._opening: asyncio.Task[Ledger] | None = None

    async def plan(
        self,
        name: str,
        source: Source | str | int | Iterable[Any],
        message: str,
        *,
        on_progress: Callable[[int], None] = lambda _rows: None,
        on_skipped: Callable[[SkippedLine], None] | None = None,
        **options: Unpack[PlanOptions],
    ) -> Plan:
        """See `Ledger.plan`; what it calls back is called from a thread."""
        ledger = await self._opened()
        return await asyncio.to_thread(
            ledger.plan,
            name,
            source,
            message,
            on_progress=on_progress,
            on_skipped=on_skipped,
            **options,
        )

    async def run(self, name: str, client: AsyncClient, **options: Unpack[RunOptions]) -> Status:
        """See `Ledger.run_async`."""
        return await (await self._opened()).run_async(name, client, **options)

    async def send_once(
        self,
        client: AsyncClient,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
    ) -> Receipt:
        """See `Ledger.send_once`."""
        ledger = await self._opened()
        return await ledger.send_once_async(client, key, recipients, message)

    async def campaigns(self) -> list[str]:
        """See `Ledger.campaigns`."""
        return await self._in_thread(Ledger.campaigns)

    async def status(self, name: str) -> Status:
        """See `Ledger.status`."""
        return await self._in_thread(Ledger.status, name)

    async def resume(self, name: str) -> None:
        """See `Ledger.resume`."""
        await self._in_thread(Ledger.resume, name)

    async def retry(
        self, name: str, *, code: int | None = None, unsafe: bool = False, by: str
    ) -> int:
        """See `Ledger.retry`."""
        return await self._in_thread(Ledger.retry, name, code=code, unsafe=unsafe, by=by)

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
        return await self._in_thread(
            Ledger.resolve, name, decision, by=by, submits=submits, batch_no=batch_no
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
        await self._in_thread(Ledger.resolve_once, key, decision, by=by, batch_no=batch_no)

    async def retry_once(self, key: str, *, unsafe: bool = False, by: str) -> None:
        """See `Ledger.retry_once`."""
        await self._in_thread(Ledger.retry_once, key, unsafe=unsafe, by=by)

    async def sends(self) -> dict[State, int]:
        """See `Ledger.sends`."""
        return await self._in_thread(Ledger.sends)

    def keys(self, state: State) -> AsyncIterator[str]:
        """See `Ledger.keys`."""
        return self._rows(Ledger.keys, state)

    async def times(self, name: str) -> list[tuple[float, float, int]]:
        """See `Ledger.times`."""
        return await self._in_thread(Ledger.times, name)

    async def report(self, name: str) -> str:
        """See `Ledger.report`."""
        return await self._in_thread(Ledger.report, name)

    def results(
        self, name: str
    ) -> AsyncIterator[tuple[str, State, str | None, int | None, str, int]]:
        """See `Ledger.results`."""
        return self._rows(Ledger.results, name)

    def refused(self, name: str) -> AsyncIterator[SkippedLine]:
        """See `Ledger.refused`."""
        return self._rows(Ledger.refused, name)

    async def find(self, number: str | int) -> list[SubmissionRecord]:
        """See `Ledger.find`."""
        return await self._in_thread(Ledger.find, number)

    async def purge(self, *, older_than: float) -> int:
        """See `Ledger.purge`."""
        return await self._in_thread(Ledger.purge, older_than=older_than)

    async def close(self) -> None:
        """See `Ledger.close`."""
        if self._opening is not None:
            await self._in_thread(Ledger.close)

    async def __aenter__(self) -> Self:
        """Open it, and return the ledger itself."""
        await self._opened()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def _opened(self) -> Ledger:
        # One task for all, so that it is opened once; whoever is cancelled does not end it.
        if self._opening is None:
            opening = asyncio.to_thread(self._open)
            self._opening = asyncio.ensure_future(opening)
        try:
            return await asyncio.shield(self._opening)
        except Exception:
            self._opening = None  # the next call may find it there
            raise

    async def _in_thread(
        self, call: Callable[Concatenate[Ledger, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return await asyncio.to_thread(call, await self._opened(), *args, **kwargs)

    async def _rows(self, call: Callable[[Ledger, _K], Iterator[_T]], of: _K) -> AsyncIterator[_T]:
        rows = call(await self._opened(), of)
        while part := await asyncio.to_thread(lambda: list(islice(rows, _ROWS))):
            for row in part:
                yield row
