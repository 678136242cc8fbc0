"""What arrived is kept: in memory within bounds, and on disk against the end of the process."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.asmx_requests import GOOD
from tests.support.raw_http import exchange, written
from yunxin_soap import Client, ConfigurationError, OutcomeUnknown
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals.counter import NumberCounter
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome, StorageError
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
from yunxin_soap.sandbox.arrivals.store import ArrivalStore, StoreLimits
from yunxin_soap.sandbox.asmx.handler import PATH
from yunxin_soap.sandbox.config import Account, Config
from yunxin_soap.sandbox.gateway import Gateway

NOW = datetime(2026, 10, 5, 8, 0, tzinfo=timezone.utc)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """One of its own: the record also has what a test before left under way."""
    with Sandbox() as sandbox:
        yield sandbox


def add(store: ArrivalStore, **values: Any) -> Arrival:
    return store.add(
        Arrival(
            **{
                "received_at": NOW,
                "outcome": Outcome.ACCEPTED,
                "result": "1",
                "http_status": 200,
                "remote": "127.0.0.1",
                **values,
            }
        )
    )


def test_how_often_each_number_was_accepted() -> None:
    record = ArrivalStore()
    add(record, batch_no="1", recipients=("13900000000", "13900000001"))
    add(record, batch_no="2", recipients=("13900000000",))
    add(record, outcome=Outcome.REJECTED, recipients=("13900000001",))
    assert record.accepted_numbers == {"13900000000": 2, "13900000001": 1}
    assert record.times_accepted("13900000009") == 0
    assert [arrival.id for arrival in record.arrivals] == [1, 2, 3]
    record.clear()
    assert (record.arrivals, record.accepted_numbers) == ((), {})


def test_the_oldest_are_dropped_and_counted() -> None:
    record = ArrivalStore(limits=StoreLimits(max_arrivals=3))
    for index in range(5):
        add(record, batch_no=str(index), recipients=("13900000000",))
    assert [arrival.id for arrival in record.arrivals] == [3, 4, 5]
    assert record.dropped == 2
    assert record.times_accepted("13900000000") == 5


def test_long_texts_are_bounded_too() -> None:
    record = ArrivalStore(limits=StoreLimits(max_bytes=10_000))
    for _ in range(5):
        add(record, message="x" * 4000)
    assert len(record.arrivals) == 2
    assert record.dropped == 3


def test_who_listens_is_told(sandbox: Sandbox) -> None:
    told: list[Arrival | None] = []
    stop = sandbox.store.subscribe(told.append)
    send(sandbox)
    sandbox.store.clear()
    stop()
    send(sandbox)
    assert [each and each.message for each in told] == ["您好【签名】", None]


def send(sandbox: Sandbox, message: str = "您好【签名】") -> str:
    with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
        return client.send("13900000000,13900000001", message, extension="9").batch_no


def test_an_arrival_tells_everything_but_the_password(sandbox: Sandbox) -> None:
    batch_no = send(sandbox)
    (arrival,) = sandbox.arrivals
    assert arrival.outcome is Outcome.ACCEPTED
    assert (arrival.batch_no, arrival.result, arrival.http_status) == (batch_no, batch_no, 200)
    assert (arrival.protocol, arrival.user_code, arrival.remote) == ("soap", "demo", "127.0.0.1")
    assert arrival.recipients == ("13900000000", "13900000001")
    assert (arrival.message, arrival.channel, arrival.extension) == ("您好【签名】", "37", "9")
    assert "<ns0:userPass>***</ns0:userPass>" in arrival.request
    assert f"<sendMesExtResult>{batch_no}</sendMesExtResult>" in arrival.response
    assert set(arrival.as_dict()) >= {"id", "received_at", "outcome", "recipients", "fault"}


def form(**fields: str) -> bytes:
    return "&".join(f"{name}={value}" for name, value in {**GOOD, **fields}.items()).encode()


CALL = written("GET", f"{PATH}/sendMesExt?{urlencode(GOOD)}")
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
S = "s3cr3t-pass"
E = b"s3cr3t%2Dpass"
JSON = {"Content_Type": "application/json"}
MULTI = {"Content_Type": "multipart/form-data; boundary=x"}
XML = {"Content_Type": "text/xml; charset=utf-8", "SOAPAction": "x"}


@pytest.mark.parametrize(
    "request_",
    [
        written("POST", f"{PATH}/sendMesExt", form(userPass=S), **FORM),
        written("POST", f"{PATH}/sendMesExt", form(userPass=S) + f"&x={S}".encode(), **FORM),
        written("POST", f"{PATH}/sendMesExt", f"userPass={S}".encode(), **FORM),
        written("POST", f"{PATH}/sendMesExt", form(userPass=f"<a{S}"), **FORM),
        written("POST", f"{PATH}/SendMesExt", form(userPass=S), **FORM),
        written("GET", f"{PATH}/sendMesExt?userPass={S}"),
        written("GET", f"{PATH}/sendMesExt?USERPASS={S}&Msg=x"),
        written("POST", PATH, f"<a><userPass>{S}</userPass>".encode(), **XML),
        written("POST", PATH, f"<a><t:userPass x='1'>{S}".encode(), **XML),
        written("POST", PATH, f"<a><userPass><![CDATA[<{S}]]></userPass>".encode(), **XML),
        written("POST", PATH, f"<a><userPass>{S}</userPass>".encode("utf-16"), **XML),
        written("POST", PATH, b"x", Authorization=f"Basic {S}", **XML),
        written("POST", PATH, b"x", Cookie=f"userPass={S}", **XML),
        written("POST", f"{PATH}/sendMesExt", form().replace(b"userPass=demo", b"user%50ass=" + E)),
        written("POST", f"{PATH}/sendMesExt", b"userPass%3D" + E, **FORM),
        written("GET", f"{PATH}/sendMesExt?userPass%3D{S}"),
        written("POST", PATH, f"<a>&lt;userPass&gt;{S}</a>".encode(), **XML),
        written("POST", PATH, f"<a userPass='{S}'/>".encode(), **XML),
        written("POST", PATH, f"<a><userPass>{S}".encode("utf-16-le"), **XML),
        written("POST", f"{PATH}/sendMesExt", f'{{"userPass":"{S}"}}'.encode(), **JSON),
        written("POST", f"{PATH}/sendMesExt", f'name="userPass"\r\n\r\n{S}'.encode(), **MULTI),
        written("POST", PATH, f"userPass: {S}".encode(), Content_Type="text/plain"),
        written("POST", f"{PATH}/sendMesExt", form(userPass=f'ab"<{S}'), **FORM),
        written("GET", f"{PATH}/sendMesExt%3FuserCode=demo%26userPass={S}%26Msg=x"),
        written("GET", f"{PATH}/sendMesExt%253FuserCode=demo%2526userPass%253D{S}"),
        written("GET", f"{PATH}/sendMesExt&userCode=demo&userPass={S}&Msg=x"),
        written("POST", PATH, b"<a/>", **XML | {"SOAPAction": f"http://x/?userPass={S}"}),
        written("POST", f"{PATH}/sendMesExt", b"x", Content_Type=f"text/plain; userPass={S}"),
        written(
            "POST", PATH, f"<a><userPass><![CDATA[x</userPass>{S}]]></userPass>".encode(), **XML
        ),
        written("POST", PATH, f"<a><userPass>ab<!--</userPass>-->{S}</userPass>".encode(), **XML),
    ],
)
def test_no_password_is_recorded_however_wrong_the_request(
    sandbox: Sandbox, request_: bytes
) -> None:
    exchange(sandbox, request_)
    (arrival,) = sandbox.arrivals
    assert S not in str(arrival.as_dict())
    assert E.decode() not in str(arrival.as_dict())
    assert arrival.request


def envelope(**fields: str) -> bytes:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in {**GOOD, **fields}.items())
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<sendMesExt xmlns="http://tempuri.org/">{inner}</sendMesExt></s:Body></s:Envelope>'
    ).encode()


CALLED = {"Content_Type": "text/xml; charset=utf-8", "SOAPAction": "http://tempuri.org/sendMesExt"}
ODD = "s3cr3t&tail99"


@pytest.mark.parametrize(
    "request_",
    [
        written("POST", PATH, envelope(userCode=S, userPass="demo"), **CALLED),
        written("POST", PATH, envelope(ExeNo=S, userPass=""), **CALLED),
        written("POST", f"{PATH}/sendMesExt", form(DesNo=S, userPass="13900000000"), **FORM),
        written("POST", PATH, envelope(userPass="", password=S), **CALLED),
        written("POST", PATH, envelope(userPass="", arg1=S), **CALLED),
        written("POST", f"{PATH}/sendMesExt", form(userPass="", password=S), **FORM),
        written("POST", PATH, envelope(userPass=S), X_Password=S, **CALLED),
        written("POST", PATH, envelope(userPass=""), X_Password=S, **CALLED),
        written("POST", f"{PATH}/sendMesExt", form(userCode="odd", userPass=ODD), **FORM),
        written("GET", f"{PATH}/sendMesExt?{form(userCode='odd', Msg='x', userPass=ODD).decode()}"),
    ],
)
def test_a_known_password_is_not_recorded_wherever_it_stands(request_: bytes) -> None:
    accounts = (Account("demo", S), Account("odd", ODD))
    with Sandbox(Gateway(Config(accounts=accounts))) as sandbox:
        exchange(sandbox, request_)
        (arrival,) = sandbox.arrivals
    assert S not in str(arrival.as_dict())
    assert "tail99" not in str(arrival.as_dict())
    assert arrival.protocol is not None


def test_what_an_answer_says_of_the_field_is_kept(sandbox: Sandbox) -> None:
    exchange(sandbox, written("GET", f"{PATH}/sendMesExt?userCode=x"))
    exchange(sandbox, written("POST", f"{PATH}/sendMesExt", form(userPass="<ab"), **FORM))
    missing, dangerous = sandbox.arrivals
    assert missing.result == "Missing parameter: userPass."
    assert '(userPass="***")' in dangerous.result


def test_one_submit_of_nothing_but_commas_drops_no_other(sandbox: Sandbox) -> None:
    send(sandbox)
    exchange(sandbox, written("POST", f"{PATH}/sendMesExt", form(DesNo="," * 4_100_000), **FORM))
    _, refused = sandbox.arrivals
    assert (refused.result, len(refused.recipients)) == ("-9", 10_000)
    assert sandbox.store.dropped == 0


def test_an_arrival_is_found_by_its_number() -> None:
    record = ArrivalStore(limits=StoreLimits(max_arrivals=2))
    assert record.arrival(1) is None
    added = [add(record, batch_no=str(at)) for at in range(4)]
    assert [record.arrival(number) for number in range(6)] == [None, None, None, *added[2:], None]


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (written("POST", PATH, b"<a", **XML), "SOAPAction: x."),
        (written("POST", f"{PATH}/SendMesExt", b""), "Invalid method name 'SendMesExt'"),
        (written("GET", f"{PATH}/sendMesExt?Msg=x"), "Missing parameter: userCode."),
        (written("POST", PATH, b"", Content_Type="text/xml"), "Root element is missing."),
    ],
)
def test_what_never_reached_the_method_is_recorded(
    sandbox: Sandbox, request_: bytes, what: str
) -> None:
    exchange(sandbox, request_)
    (arrival,) = sandbox.arrivals
    assert arrival.outcome is Outcome.MALFORMED
    assert arrival.protocol is None
    assert what in arrival.result
    assert arrival.http_status == 500


ACTION = {"SOAPAction": "http://tempuri.org/sendMesExt"}


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (written("POST", PATH, b"<a", Content_Type="text/xml", **ACTION), "HTTP 400: the envelope"),
        (written("POST", PATH, b"<a/>", Content_Type="text/csv", **ACTION), "HTTP 415: the Conten"),
    ],
)
def test_what_was_wrong_is_said_where_the_answer_says_nothing(
    sandbox: Sandbox, request_: bytes, what: str
) -> None:
    exchange(sandbox, request_)
    (arrival,) = sandbox.arrivals
    assert what in arrival.result


def test_a_lost_answer_is_no_plain_success(sandbox: Sandbox) -> None:
    for number in ("13900002000", "13900002001"):
        client = Client("demo", "demo", channel="37", endpoint=sandbox.url)
        with client, pytest.raises(OutcomeUnknown):
            client.send(number, "您好【签名】")
    accepted, failed = sandbox.arrivals
    assert (accepted.outcome, accepted.fault) == (Outcome.ACCEPTED, "error")
    assert (failed.outcome, failed.fault) == (Outcome.FAILED, "error")
    assert accepted.batch_no
    assert failed.result


def test_looking_at_a_page_is_no_arrival(sandbox: Sandbox) -> None:
    for target in (PATH, f"{PATH}?WSDL", "/nothing"):
        exchange(sandbox, written("GET", target))
    assert sandbox.arrivals == ()


_KILLED = """
import sys
from yunxin_soap import Client
from yunxin_soap.sandbox import ArrivalStore, Sandbox, SqliteArrivals

with Sandbox(store=ArrivalStore(SqliteArrivals(sys.argv[1]))) as sandbox:
    with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
        while True:
            print(client.send("13900000000", "您好【签名】").batch_no, flush=True)
"""


def test_the_journal_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline().strip() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        seen += process.stdout.read().split()
    record = ArrivalStore(SqliteArrivals(path))
    try:
        kept = [arrival.batch_no for arrival in record.arrivals]
        # The last may have been told to nobody.
        assert kept[: len(seen)] == seen
        assert len(kept) - len(seen) in (0, 1)
        assert record.times_accepted("13900000000") == len(kept)
    finally:
        record.close()


def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    first = ArrivalStore(SqliteArrivals(path))
    before = add(first, batch_no="1", recipients=("13900000000",), protocol="soap", fault="delay")
    add(first, outcome=Outcome.MALFORMED, result="x", http_status=400)
    first.close()
    second = ArrivalStore(SqliteArrivals(path))
    assert second.arrivals[0] == before
    assert add(second, batch_no="2", recipients=("13900000000",)).id == 3
    assert second.times_accepted("13900000000") == 2
    second.clear()
    second.close()
    third = ArrivalStore(SqliteArrivals(path))
    assert (third.arrivals, third.accepted_numbers) == ((), {})
    third.close()


def test_what_was_dropped_and_cleared_is_still_counted(tmp_path: Path) -> None:
    limits = StoreLimits(max_arrivals=3)
    path = tmp_path / "record.sqlite"
    for dropped in (2, 7):
        record = ArrivalStore(SqliteArrivals(path), limits=limits)
        for _ in range(5):
            add(record, message="x")
        assert (record.kept, record.dropped) == (3, dropped)
        record.close()
    record = ArrivalStore(SqliteArrivals(path))
    record.clear()
    record.close()
    again = ArrivalStore(SqliteArrivals(path))
    assert add(again).id == 11
    again.close()


def test_long_accounts_count_too() -> None:
    record = ArrivalStore(limits=StoreLimits(max_bytes=10_000))
    for field in ("user_code", "channel", "extension"):
        add(record, **{field: "x" * 9000})
    add(record, recipients=("x" * 9000,))
    assert record.dropped == 3


def test_a_journal_is_its_owner_s_alone(tmp_path: Path) -> None:
    record = ArrivalStore(SqliteArrivals(tmp_path / "record.sqlite"))
    add(record)
    files = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    record.close()
    lock = files.pop("record.sqlite-lock")
    assert files == dict.fromkeys(
        ("record.sqlite", "record.sqlite-shm", "record.sqlite-wal"), 0o600
    )
    assert lock  # and no other file


def test_a_record_is_one_sandbox_s(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    first = SqliteArrivals(path)
    with pytest.raises(ConfigurationError, match="another sandbox uses it"):
        SqliteArrivals(path)
    first.close()
    SqliteArrivals(path).close()


def test_a_record_that_has_two_names_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    first = SqliteArrivals(path)
    other.hardlink_to(path)
    with pytest.raises(ConfigurationError, match="hard links"):
        SqliteArrivals(other)
    first.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_record_that_was_removed_accepts_nothing(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "record.sqlite"
    with closing(ArrivalStore(SqliteArrivals(path))) as record, Sandbox(store=record) as sandbox:
        path.rename(tmp_path / "elsewhere")
        if replaced:
            path.touch()
        assert exchange(sandbox, CALL).status == 500
        assert sandbox.inbox == ()


def test_what_could_not_be_kept_is_not_paid_for(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    with (
        closing(ArrivalStore(SqliteArrivals(path))) as record,
        Sandbox(store=record) as sandbox,
        closing(sqlite3.connect(path)) as other,
    ):
        sandbox.inject_fault("balance", left=2)
        other.execute("BEGIN IMMEDIATE")
        assert [exchange(sandbox, CALL).status for _ in range(2)] == [500, 500]
        other.rollback()
        assert [b">-7<" in exchange(sandbox, CALL).body for _ in range(3)] == [False, False, True]
        assert len(sandbox.inbox) == 2


_FULL = """
import sys
from yunxin_soap import Client, OutcomeUnknown
from yunxin_soap.sandbox import ArrivalStore, Sandbox, SqliteArrivals

with Sandbox(store=ArrivalStore(SqliteArrivals(sys.argv[1]))) as sandbox:
    with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
        for sent in range(1000):
            try:
                client.send("13900000000", "您好【签名】")
            except OutcomeUnknown as error:
                print(error.http_status, sent - sandbox.times_accepted("13900000000"))
                print(sandbox.arrivals[-1].outcome.value, sent - len(sandbox.inbox))
                break
"""


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    # In blocks of 512 bytes: no file may grow beyond.
    limited = ["/bin/sh", "-c", 'ulimit -f 400; exec "$@"', "sh"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", _FULL, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "500 0\nfailed 0\n"  # what is not on record was not accepted
    assert done.stderr.startswith(f"The record {path} cannot be written (")
    assert done.stderr.count("\n") == 1
    kept = ArrivalStore(SqliteArrivals(path))
    assert kept.times_accepted("13900000000") == len(kept.arrivals) > 0
    kept.close()


def test_a_file_that_is_no_record_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no database" * 100)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        SqliteArrivals(text)
    assert text.read_text() == "no database" * 100
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(ConfigurationError, match="no record of this sandbox"):
        SqliteArrivals(other)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        SqliteArrivals(tmp_path / "missing" / "record.sqlite")


def test_a_record_that_cannot_be_cleared_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    journal = SqliteArrivals(path, busy_timeout=0.01)
    with Sandbox(store=ArrivalStore(journal)) as sandbox, closing(sqlite3.connect(path)) as other:
        assert (
            exchange(sandbox, written("POST", f"{PATH}/sendMesExt", form(), **FORM)).status == 200
        )
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="cannot be cleared"):
            sandbox.store.clear()
        gone = exchange(sandbox, written("DELETE", "/api/v1/arrivals"))
        assert (gone.status, gone.content_type) == (500, "application/json; charset=utf-8")
        assert len(sandbox.arrivals) == len(sandbox.inbox) == 1
    journal.close()


def test_a_record_has_one_lock_by_whichever_link(tmp_path: Path) -> None:
    path, link = tmp_path / "record.sqlite", tmp_path / "link.sqlite"
    link.symlink_to(path)
    first = SqliteArrivals(path)
    with pytest.raises(ConfigurationError, match="another sandbox uses it"):
        SqliteArrivals(link)
    first.close()
    with pytest.raises(ConfigurationError, match="has no name"):
        SqliteArrivals("")


def test_counts_beyond_what_memory_holds() -> None:
    counted, expected = NumberCounter(10, batch_size=3), Counter[str]()
    for start in (0, 5, 8, 0):
        numbers = [str(13900000000 + at) for at in range(start, start + 9)]
        counted.add(numbers)
        expected.update(numbers)
        assert counted.counts() == expected
        assert all(counted.times(number) == expected[number] for number in numbers)
    for none in ("13900000099", "0013900000000", "", "x", "9" * 30):
        assert counted.times(none) == 0
    counted.clear()
    assert (counted.counts(), counted.times("13900000000")) == ({}, 0)


def test_long_texts_are_bounded_as_they_come() -> None:
    record = ArrivalStore()
    for number in range(20):
        add(record, outcome=Outcome.REJECTED, result="-5", message=str(number) + "字" * (1 << 20))
    assert record.kept < 20
    assert record.kept + record.dropped == 20


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    record = ArrivalStore(SqliteArrivals(path))
    for _ in range(200):
        add(record)
    record.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + os.urandom(len(content) // 2))
    with pytest.raises(ConfigurationError, match=r"cannot be (read|opened)"):
        ArrivalStore(SqliteArrivals(path))
