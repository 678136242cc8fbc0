"""Those who send in a soak run: ``python -m tests.soak.load sync|async ENDPOINT LEDGER``.

Each round sends over long-lived clients and over clients that are opened for it, to a port that is
closed, once for a key from two callers at once, through the queue, and as a campaign. Each number
gets one message in the whole run, so that a number that was accepted twice is a fault.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from typing import Any

from tests.soak.member import work_in_rounds
from tests.support.ports import free_port
from yunxin_soap import AsyncClient, Client, NotSent, OutcomeUnknown, Rejected, SendError
from yunxin_soap.campaign import AsyncLedger, Ledger, LedgerError, State, Status
from yunxin_soap.operation import PROTOCOLS, ProtocolName

BREAKABLE = "验证码"
"""What is in the messages that the gateway treats worst."""
_TEXT = "您的订单已发货【签名】"
_BREAKABLE_TEXT = f"您的{BREAKABLE}是1234【签名】"
_CALLERS = 6
_CONNECTIONS = 3
"""Fewer than callers, so that the pools are soon as full as they get."""
_SENDS = 8
"""Messages of a long-lived client in a round."""
_SENDS_OF_A_NEW_CLIENT = 4
_KEYS = 5
_QUEUED = 8
_NUMBERS_OF_A_CAMPAIGN = 24
_PURGE_EVERY = 5
_PURGED_AFTER = 30.0
"""Seconds. The second caller of a key must find its content."""
_LOOK_AGAIN = 0.1
"""Seconds until somebody looks again whether the worker is done."""


class Load:
    """What both kinds of load have in common.

    Args:
        parity: 0 or 1; each load has numbers, keys and campaigns of its own.
        endpoint: the gateway.
        ledger_url: the ledger.
    """

    def __init__(self, parity: int, endpoint: str, ledger_url: str) -> None:
        self.endpoint, self.ledger_url = endpoint, ledger_url
        self.closed = f"http://127.0.0.1:{free_port()}/api/MsgSend.asmx"
        self.outcomes: Counter[str] = Counter()
        self.rounds = itertools.count()
        self._numbers = itertools.count(13900000000 + parity, 2)

    def number(self) -> str:
        """Return a number that nothing was sent to."""
        return str(next(self._numbers))

    def numbers(self, count: int) -> list[str]:
        """Return that many of them."""
        return list(itertools.islice(map(str, self._numbers), count))

    def options(self, protocol: ProtocolName, endpoint: str = "") -> dict[str, Any]:
        """Return the arguments of a client."""
        return {
            "user_code": "demo",
            "user_pass": "demo",
            "channel": "37",
            "protocol": protocol,
            "endpoint": endpoint or self.endpoint,
            "timeout": 1.0,
            "connect_timeout": 10.0,
            "retries": 1,
            "max_connections": _CONNECTIONS,
        }

    def count_error(self, error: SendError) -> None:
        """Count how a submission to one number ended that raised an error."""
        for kind, name in (
            (Rejected, "rejected"),
            (NotSent, "not sent"),
            (OutcomeUnknown, "unknown"),
        ):
            if isinstance(error, kind):
                self.outcomes[name] += 1
                return
        raise error

    def count_campaign(self, status: Status) -> None:
        """Count the numbers of a campaign that has ended."""
        for state, count in status.numbers.items():
            if count and state not in (State.ACCEPTED, State.REJECTED, State.UNKNOWN):
                raise RuntimeError(f"a campaign ended with {count} numbers {state.value}")
            self.outcomes[state.value] += count


def _await_worker(ledger_url: str, campaign: str = "") -> None:
    """Wait until nothing is queued any more, and nothing of a campaign is pending."""

    def is_working(counts: dict[State, int]) -> bool:
        return bool(counts[State.PENDING] + counts[State.SUBMITTING])

    with Ledger(ledger_url) as ledger:
        while is_working(ledger.once.counts()):
            time.sleep(_LOOK_AGAIN)
        while campaign and is_working(ledger.status(campaign).numbers):
            time.sleep(_LOOK_AGAIN)


def run_sync(load: Load) -> None:
    """Work in rounds with `Client`, `Ledger` and threads."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(**load.options(each))) for each in PROTOCOLS]
        ledger = stack.enter_context(Ledger(load.ledger_url))
        pool = stack.enter_context(ThreadPoolExecutor(_CALLERS))

        def send(client: Client) -> None:
            _count_sync(load, lambda: client.send(load.number(), _BREAKABLE_TEXT))

        def one_round() -> dict[str, Any]:
            round_number = next(load.rounds)
            list(pool.map(send, clients * _SENDS))
            for protocol in PROTOCOLS:
                with (
                    Client(**load.options(protocol)) as client,
                    ThreadPoolExecutor(_SENDS_OF_A_NEW_CLIENT) as own,
                ):
                    list(own.map(send, [client] * _SENDS_OF_A_NEW_CLIENT))
                with Client(**load.options(protocol, load.closed)) as client:
                    send(client)
            client = clients[round_number % len(clients)]

            def send_once(arguments: tuple[str, str]) -> None:
                with suppress(SendError):  # the ledger counts them
                    ledger.once.send(client, *arguments, _TEXT)

            keys = [(f"sync-{number}", number) for number in load.numbers(_KEYS)]
            list(pool.map(send_once, [each for each in keys for _ in range(2)]))
            for number in load.numbers(_QUEUED):
                ledger.once.enqueue(f"sync-{number}", number, _TEXT, channel="37")
            name = f"sync {round_number}"
            numbers = load.numbers(_NUMBERS_OF_A_CAMPAIGN)
            ledger.plan(name, numbers, _TEXT, channel="37", max_recipients=2)
            load.count_campaign(ledger.run(name, client, concurrency=4, failure_threshold=1000))
            if ledger.status(name).numbers[State.UNKNOWN]:
                ledger.resolve(name, "accepted", by="soak")
            _await_worker(load.ledger_url)
            if round_number % _PURGE_EVERY == 0:
                with suppress(LedgerError):  # another process reads the file: the next one does it
                    ledger.purge(older_than=_PURGED_AFTER)
            return {}

        def last() -> dict[str, Any]:
            for state, count in ledger.once.counts().items():
                load.outcomes[state.value] += count
            return {"outcomes": load.outcomes}

        work_in_rounds(one_round, last)


def _count_sync(load: Load, call: Callable[[], object]) -> None:
    try:
        call()
    except SendError as error:
        load.count_error(error)
    else:
        load.outcomes["accepted"] += 1


def run_async(load: Load) -> None:
    """Work in rounds with `AsyncClient`, `AsyncLedger` and tasks, in one event loop."""
    loop = asyncio.new_event_loop()
    with closing(loop):
        stack = AsyncExitStack()

        async def enter() -> tuple[list[AsyncClient], AsyncLedger]:
            clients = [
                await stack.enter_async_context(AsyncClient(**load.options(each)))
                for each in PROTOCOLS
            ]
            return clients, await stack.enter_async_context(AsyncLedger(load.ledger_url))

        clients, ledger = loop.run_until_complete(enter())
        work_in_rounds(
            lambda: loop.run_until_complete(_round_async(load, clients, ledger)),
            lambda: {"outcomes": load.outcomes},
        )
        loop.run_until_complete(stack.aclose())


async def _round_async(
    load: Load, clients: list[AsyncClient], ledger: AsyncLedger
) -> dict[str, Any]:
    async def send(client: AsyncClient) -> None:
        await _count_async(load, client.send(load.number(), _BREAKABLE_TEXT))

    round_number = next(load.rounds)
    await asyncio.gather(*map(send, clients * _SENDS))
    for protocol in PROTOCOLS:
        async with AsyncClient(**load.options(protocol)) as client:
            await asyncio.gather(*map(send, [client] * _SENDS_OF_A_NEW_CLIENT))
        async with AsyncClient(**load.options(protocol, load.closed)) as client:
            await send(client)
    client = clients[round_number % len(clients)]

    async def send_once(key: str, number: str) -> None:
        with suppress(SendError):  # the ledger counts them
            await ledger.once.send(client, key, number, _TEXT)

    keys = [(f"async-{number}", number) for number in load.numbers(_KEYS)]
    await asyncio.gather(*(send_once(*each) for each in keys for _ in range(2)))
    for number in load.numbers(_QUEUED):
        await ledger.once.enqueue(f"async-{number}", number, _TEXT, channel="37")
    name = f"async {round_number}"
    numbers = load.numbers(_NUMBERS_OF_A_CAMPAIGN)
    await ledger.plan(name, numbers, _TEXT, channel="37", max_recipients=2)
    # The process of the worker sends it.
    await ledger.start(name, workers=1, concurrency=4, failure_threshold=1000)
    await asyncio.to_thread(_await_worker, load.ledger_url, name)
    await ledger.stop(name)
    async with AsyncLedger(load.ledger_url) as another:
        status = await another.status(name)
    load.count_campaign(status)
    if status.numbers[State.UNKNOWN]:
        await ledger.resolve(name, "accepted", by="soak")
    return {}


async def _count_async(load: Load, sending: Awaitable[object]) -> None:
    try:
        await sending
    except SendError as error:
        load.count_error(error)
    else:
        load.outcomes["accepted"] += 1


def main() -> None:
    """Work in rounds, as the arguments say."""
    kind, endpoint, ledger_url = sys.argv[1:]
    if kind == "sync":
        run_sync(Load(0, endpoint, ledger_url))
    else:
        run_async(Load(1, endpoint, ledger_url))


if __name__ == "__main__":
    main()
