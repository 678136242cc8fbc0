"""The pool of connections: who gets a place, and when."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from yunxin_soap.transport.pool import NoFreeConnection, Pool


class IdleConnection:
    """A connection that can always be used again."""

    idle_since = 0.0
    is_usable = True

    def close(self) -> None:
        """Do nothing."""


def wait_until_waiting(pool: Pool[IdleConnection], count: int) -> None:
    """Let other threads run until that many wait for a place."""
    while len(pool.waiting) < count:
        time.sleep(0)


def test_place_that_becomes_free_goes_to_the_thread_that_waits() -> None:
    """A newcomer does not overtake a waiting thread, which would starve otherwise."""
    pool = Pool[IdleConnection](1, 4, time.monotonic)
    assert pool.acquire(1) is None
    connection = IdleConnection()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.acquire, 20)
        wait_until_waiting(pool, 1)
        pool.put(connection)
        assert pool.take_idle() is None
        assert waiting.result(20) is connection


def test_places_go_to_threads_in_the_order_in_which_they_came() -> None:
    """The thread that waits longest gets the next place."""
    pool = Pool[IdleConnection](1, 4, time.monotonic)
    pool.acquire(1)
    served: list[int] = []

    def acquire(number: int) -> None:
        pool.acquire(20)
        served.append(number)
        pool.discard()

    with ThreadPoolExecutor(5) as threads:
        for number in range(5):
            threads.submit(acquire, number)
            wait_until_waiting(pool, number + 1)
        pool.discard()
    assert served == list(range(5))


def test_places_of_threads_that_gave_up_are_not_lost() -> None:
    """Whatever the threads do at the same time, there are as many places as before."""
    size = 3
    pool = Pool[IdleConnection](size, 4, time.monotonic)
    in_use: list[None] = []
    most: list[int] = []

    def use(index: int) -> None:
        try:
            pool.acquire(0 if index % 2 else 0.001)
        except NoFreeConnection:
            return
        in_use.append(None)
        most.append(len(in_use))
        time.sleep(0)
        in_use.pop()
        pool.discard()

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(use, range(5000)))
    assert max(most) <= size
    for _ in range(size):
        pool.acquire(0)
    with pytest.raises(NoFreeConnection):
        pool.acquire(0)


def test_interrupt_while_waiting_loses_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted thread gives back the place that it got at the same moment."""
    pool = Pool[IdleConnection](1, 4, time.monotonic)
    pool.acquire(0)

    class InterruptedLock:
        """A lock whose holder is interrupted, once it has got its place."""

        def acquire(self, timeout: float | None = None) -> None:
            """Do nothing the first time."""
            if timeout is not None:
                pool.discard()
                raise KeyboardInterrupt

        def release(self) -> None:
            """Do nothing."""

    with monkeypatch.context() as patched:
        patched.setattr(threading, "Lock", InterruptedLock)
        with pytest.raises(KeyboardInterrupt):
            pool.acquire(1)
    pool.acquire(0)
    with pytest.raises(NoFreeConnection):
        pool.acquire(0)
