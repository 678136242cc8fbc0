"""`get_ledger().once.enqueue()` in `transaction.atomic()`, on each database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.test import override_settings

from tests.integration.django.conftest import each_database, in_test_case
from yunxin_soap import ConfigurationError, ContentConflict, InvalidRequest, LedgerError
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.django import get_client, get_ledger, outbox
from yunxin_soap.sandbox import Sandbox

TO = "13900000000"


class Rollback(Exception):
    """Rolls a block back."""


@contextmanager
def rolled_back(alias: str) -> Iterator[None]:
    """An atomic block that an error of the application ends."""
    try:
        with transaction.atomic(using=alias):
            yield
            raise Rollback
    except Rollback:
        pass


@pytest.fixture
def orders(in_production: str) -> Iterator[Any]:
    """Counts the rows of an application's own table, and adds one."""
    connection = connections[in_production]

    def execute(statement: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None

    execute("CREATE TABLE shop_order (id INTEGER)")
    yield execute
    execute("DROP TABLE shop_order")


def order(orders: Any, number: int = 1) -> None:
    orders(f"INSERT INTO shop_order VALUES ({number})")


def count(orders: Any) -> int:
    found: int = orders("SELECT count(*) FROM shop_order")[0]
    return found


def _fail(connection: sa.Connection, *_: Any) -> None:
    connection.execute(sa.text("SELECT * FROM nowhere"))


def _insert_and_fail(*args: Any, **kwargs: Any) -> None:
    _INSERT(*args, **kwargs)
    raise LedgerError("late")


_INSERT = transitions.insert_queued_single


@each_database
def test_enqueue_is_part_of_atomic(in_production: str, orders: Any, sandbox: Sandbox) -> None:
    """A rolled-back order has no notice, and a committed one has one, which is sent once."""
    ledger, atomic = get_ledger(), partial(transaction.atomic, using=in_production)
    with rolled_back(in_production):
        order(orders)
        assert ledger.once.enqueue("order-1", TO, "已收到")
    assert (count(orders), list(ledger.once.keys(State.PENDING))) == (0, [])
    with atomic():
        order(orders)
        assert ledger.once.enqueue("order-1", TO, "已收到")
        # Nobody else sees it before the commit.
        if in_production != "default":  # a reader of a file would wait for its writer
            assert list(ledger.once.keys(State.PENDING)) == []
        assert not ledger.once.enqueue("order-1", TO, "已收到")
    assert (count(orders), list(ledger.once.keys(State.PENDING))) == (1, ["order-1"])
    for _ in range(2):
        assert ledger.once.send_queued(get_client(), "order-1").channel == "37"
    assert [each.message for each in sandbox.inbox] == ["已收到【签名】"]


@each_database
def test_enqueue_honours_savepoints(in_production: str, orders: Any) -> None:
    """A notice is rolled back with the savepoint that it was queued in, and no other one is."""
    ledger, atomic = get_ledger(), partial(transaction.atomic, using=in_production)
    with atomic():
        order(orders)
        ledger.once.enqueue("outer", TO, "一")
        with rolled_back(in_production):
            order(orders, 2)
            ledger.once.enqueue("inner", TO, "二")
        with atomic():
            ledger.once.enqueue("kept", TO, "三")
    assert (count(orders), list(ledger.once.keys(State.PENDING))) == (1, ["outer", "kept"])


@each_database
def test_enqueue_that_fails_leaves_the_transaction_usable(
    in_production: str, orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of a rule, of the key or of the database does not end the caller's transaction."""
    ledger = get_ledger()
    with transaction.atomic(using=in_production):
        ledger.once.enqueue("k", TO, "一")
        with pytest.raises(ContentConflict):
            ledger.once.enqueue("k", TO, "二")
        with pytest.raises(InvalidRequest):
            ledger.once.enqueue("other", "123", "二")
        with pytest.raises(ConfigurationError, match="no pace"):
            ledger.once.enqueue("other", TO, "二", pace="none")
        with monkeypatch.context() as patch:
            patch.setattr(transitions, "insert_queued_single", _insert_and_fail)
            with pytest.raises(LedgerError, match="late"):
                ledger.once.enqueue("late", TO, "二")
        # On PostgreSQL, it would end the transaction without a savepoint.
        monkeypatch.setattr("yunxin_soap.campaign.storage.outbox.refuse_suppressed", _fail)
        with pytest.raises(DatabaseError):
            ledger.once.enqueue("broken", TO, "二")
        order(orders)
    assert (count(orders), list(ledger.once.keys(State.PENDING))) == (1, ["k"])


@each_database
def test_enqueue_outside_of_atomic_is_a_transaction_of_its_own(in_production: str) -> None:
    """Django commits each statement by default; the send and its numbers are one transaction."""
    assert get_ledger().once.enqueue("k", TO, "一")
    assert connections[in_production].get_autocommit()
    assert list(get_ledger().once.keys(State.PENDING)) == ["k"]


@pytest.mark.parametrize("alias", ["memory", "postgresql", "mariadb"], indirect=True)
def test_ledger_in_a_test_case_is_in_its_transaction(alias: str) -> None:
    """In Django's TestCase, all that the ledger does is seen by the test, and rolled back."""
    with in_test_case(alias):
        ledger = get_ledger()
        with rolled_back(alias):
            ledger.once.enqueue("lost", TO, "一")
        assert outbox == []
        ledger.once.enqueue("k", TO, "二")
        (queued,) = outbox
        assert (queued.key, queued.recipients, queued.message) == ("k", (TO,), "二【签名】")
        assert list(ledger.once.keys(State.PENDING)) == ["k"]
        receipt = ledger.once.send_queued(get_client(), "k")
        assert ledger.once.send_queued(get_client(), "k") == receipt
        (sent,) = outbox
        assert (sent.key, sent.message, sent.channel) == (None, "二【签名】", "37")
        ledger.once.send(get_client(), "now", TO, "三")
        ledger.plan("june", [TO], "四【签名】", channel=37)
        ledger.pause("june", by="me")
        assert ledger.status("june").state.value == "paused"
        assert [number.number for number in ledger.results("june")] == [TO]
        assert ledger.once.counts()[State.ACCEPTED] == 2
        assert [each.message for each in outbox] == ["二【签名】", "三【签名】"]
    with in_test_case(alias):
        assert (get_ledger().campaigns(), outbox == []) == ([], True)
        assert get_ledger().once.counts()[State.ACCEPTED] == 0


@pytest.mark.parametrize("alias", ["memory"], indirect=True)
def test_yunxin_env_sends_to_its_sandbox_in_a_test_case(alias: str, yunxin_env: Sandbox) -> None:
    """With the fixture, a test case sends what it has queued over a real connection."""
    given = {**settings.YUNXIN, "database": alias}
    with override_settings(YUNXIN=given), transaction.atomic(using=alias):
        get_ledger().once.enqueue("k", TO, "一")
        get_ledger().once.send_queued(get_client(), "k")
        assert list(get_ledger().once.keys(State.ACCEPTED)) == ["k"]
        transaction.set_rollback(True, using=alias)
    yunxin_env.assert_sent(TO, "一")
    assert outbox == []


def test_processes_that_fork_have_connections_of_their_own(
    in_production: str, sandbox: Sandbox
) -> None:
    """A forked process uses the client and the ledger of its parent, and closes none of it."""
    get_ledger().once.enqueue("parent", TO, "一")
    get_ledger().once.send_queued(get_client(), "parent")
    connections.close_all()  # Django's own do not survive a fork
    if (child := os.fork()) == 0:
        status = 1
        try:
            get_ledger().once.enqueue("child", TO, "二")
            get_ledger().once.send_queued(get_client(), "child")
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    get_ledger().once.enqueue("again", TO, "三")
    get_ledger().once.send_queued(get_client(), "again")
    assert [each.message for each in sandbox.inbox] == ["一【签名】", "二【签名】", "三【签名】"]


def test_ledger_is_one_for_each_process_and_its_settings(in_production: str) -> None:
    """The same objects come back until a setting changes or they are closed."""
    assert get_client() is get_client()
    assert get_ledger() is get_ledger()
    assert isinstance(get_ledger(), Ledger)
    first = get_client()
    with in_test_case(in_production):
        assert get_client() is not first
    with pytest.raises(RuntimeError, match="closed"):
        first.send(TO, "您好")
