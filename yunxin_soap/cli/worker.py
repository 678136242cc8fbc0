"""``yunxin-soap worker``: send what is queued, and work on started campaigns."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import IO, TYPE_CHECKING, cast

from yunxin_soap.cli import exit_status
from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.exit_status import Exit
from yunxin_soap.cli.options import (
    LEDGER_AND_GATEWAY,
    build_client,
    client_options,
    given_arguments,
    ledger_option,
    open_ledger,
)
from yunxin_soap.cli.output import handle_errors

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.campaign import AsyncLedger

_CONNECTIONS = 1000
"""The most open connections: the queue and the campaigns share the client."""
_SHOWN = ("campaign", "submission_id", "outcome", "code", "batch_no")
"""The attributes of log records that a line shows; what has `recipients` says it in its text."""


@command("worker", epilog=exit_status.epilog(exit_status.WORKER, LEDGER_AND_GATEWAY))
@ledger_option
@option("--concurrency", default=16, show_default=True, help="The most queued sends in flight.")
@client_options
def worker_command(
    ledger_url: str | None,
    concurrency: int,
    user_code: str | None,
    password_file: IO[str] | None,
    protocol: str | None,
    endpoint: str | None,
    timeout: float | None,
    proxy: str | None,
) -> None:
    """Send what is queued, and work on started campaigns, until stopped.

    It sends what `once.enqueue` has queued, and works on the campaigns that "campaign start" has
    started. Run as many workers as you like, on as many machines as you like: nothing is sent
    twice.

    SIGTERM or Ctrl-C stops it once the submissions in flight have ended; a second one stops it at
    once, and what is in flight becomes unknown. Allow it 90 seconds: a submission takes up to 70 by
    default. A ledger that is away is waited for. The log is on standard error.
    """
    with handle_errors(as_json=False):
        from yunxin_soap.async_client import AsyncClient
        from yunxin_soap.campaign import AsyncLedger

        arguments = given_arguments(
            user_code=user_code,
            protocol=protocol,
            endpoint=endpoint,
            timeout=timeout,
            proxy=proxy,
            max_connections=_CONNECTIONS,
        )
        # A missing ledger is reported before the prompt for the password.
        with open_ledger(ledger_url):
            client = build_client(AsyncClient, arguments, password_file, "user_code")
        _log_to_stderr()
        ledger = AsyncLedger(ledger_url, create=False)
        was_aborted = asyncio.run(_work(ledger, client, concurrency))
        sys.exit(Exit.UNKNOWN if was_aborted else Exit.DONE)


async def _work(ledger: AsyncLedger, client: AsyncClient, concurrency: int) -> bool:
    """Work until a signal comes; return whether a second one has aborted it."""
    from yunxin_soap.cli.progress import end_of, stop_on_signals

    stop = asyncio.Event()
    async with ledger, client:
        work = asyncio.create_task(end_of(ledger.work(client, concurrency=concurrency, stop=stop)))
        stop_on_signals(work, stop)
        try:
            await work
        except asyncio.CancelledError:
            return True
        return False


def _log_to_stderr() -> None:
    from yunxin_soap.cli.progress import ResilientStderr

    handler = logging.StreamHandler(cast("IO[str]", ResilientStderr()))
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s"))
    package = logging.getLogger("yunxin_soap")
    package.addHandler(handler)
    package.setLevel(logging.INFO)


class _Formatter(logging.Formatter):
    """Shows the zone of the time, and which submission a record is about, too."""

    default_time_format = "%Y-%m-%d %H:%M:%S %z"
    default_msec_format = None

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of logging
        """Return the line without a traceback."""
        found = ((name, getattr(record, name, None)) for name in _SHOWN)
        shown = " ".join(f"{name}={value}" for name, value in found if value is not None)
        line = super().formatMessage(record)
        return f"{line} [{shown}]" if shown else line
