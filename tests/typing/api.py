"""State the public API by its types. mypy and pyright check this file; nothing runs it.

A comment ``type: ignore`` marks a call that must be a type error: both checkers complain if it is
none.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from celery import Celery
from typing_extensions import assert_type

from yunxin_soap import (
    AsyncClient,
    AsyncTransport,
    Category,
    Client,
    ConfigurationError,
    InvalidRequest,
    NotSent,
    Observation,
    Observer,
    Outcome,
    OutcomeUnknown,
    ProtocolName,
    Receipt,
    Rejected,
    Request,
    RequestInfo,
    Response,
    ResultCode,
    SendError,
    Settings,
    Submission,
    SubmissionEnded,
    SubmissionStarted,
    Transport,
    YunxinError,
    count_segments,
    observe,
    wsdl,
)
from yunxin_soap.campaign import (
    Activity,
    AsyncLedger,
    Csv,
    Excel,
    HistoryEntry,
    Ledger,
    NumberResult,
    Pace,
    Plan,
    PlanOptions,
    Preview,
    Progress,
    Rows,
    Sample,
    SkipKind,
    SkippedLine,
    Slice,
    Source,
    State,
    Status,
    SubmissionRecord,
    SuppressedNumber,
    Sweep,
    Text,
    Timing,
    preview,
)
from yunxin_soap.celery import setup as setup_celery
from yunxin_soap.django import (
    DjangoLedger,
    OutboxMessage,
    get_client,
    get_ledger,
    outbox,
)
from yunxin_soap.django import (
    setup_celery as setup_celery_of_django,
)
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.sandbox import (
    Access,
    Account,
    Arrival,
    ArrivalStore,
    Channel,
    Config,
    Gateway,
    InjectedFault,
    Login,
    Sandbox,
    SqliteArrivals,
)
from yunxin_soap.telemetry import Instrumentation, instrument, observe_ledger


def client_arguments() -> None:
    Client("user", "secret")
    Client("user", "secret", channel="37", signature="签名", extension="9")
    Client("user", "secret", channel=37, extension=9)
    Client("user", "secret", endpoint="https://sms.example/MsgSend.asmx", protocol="http-post")
    Client("user", "secret", timeout=10, connect_timeout=2.5, total_timeout=30, retries=0)
    Client("user", "secret", proxy="http://proxy.example:3128", trust_env=True)
    Client("user", "secret", verify=Path("authority.pem"))
    Client("user", "secret", verify=ssl.create_default_context(), wsdl="MsgSend.wsdl")
    Client("user", "secret", recipient_pattern=re.compile("1[0-9]{10}"), max_recipients=1000)
    Client("user", "secret", max_connections=10, max_segments=3)
    Client("user", "secret", max_connections="10")  # type: ignore[arg-type]
    Client("user")  # type: ignore[call-arg]
    Client("user", "secret", "37")  # type: ignore[call-arg, arg-type]
    Client("user", "secret", protocol="ftp")  # type: ignore[arg-type]
    Client("user", "secret", timeout="10")  # type: ignore[arg-type]
    Client("user", "secret", seconds=10)  # type: ignore[call-arg]


def client_from_env() -> None:
    assert_type(Client.from_env(), Client)
    assert_type(AsyncClient.from_env(), AsyncClient)
    Client.from_env(user_code="user", user_pass="secret", protocol="soap12", timeout=5)
    AsyncClient.from_env(channel=37, signature=None)
    Client.from_env(protocol="ftp")  # type: ignore[arg-type]
    AsyncClient.from_env(time_out=5)  # type: ignore[call-arg]


def client_calls() -> None:
    with Client("user", "secret", channel="37", signature="签名") as client:
        assert_type(client, Client)
        assert_type(client.send("13900000000", "您好"), Receipt)
        assert_type(client.send(13900000000, "您好", channel=37, extension=9), Receipt)
        assert_type(client.send(["13900000000", 13900000001], "您好"), Receipt)
        submission = client.check({"13900000000", "13900000001"}, "您好")
        assert_type(submission, Submission)
        assert_type(submission.notes, tuple[str, ...])
        assert_type(client.submit(submission), Receipt)
        assert_type(client.submit(submission, valid_until=60.0), Receipt)
        client.submit(submission, 60.0)  # type: ignore[call-arg]
        client.send("13900000000")  # type: ignore[call-arg]
        client.send(1.39, "您好")  # type: ignore[arg-type]
    assert_type(client.settings, Settings)
    assert_type(client.endpoint, str)
    assert_type(client.protocol, ProtocolName)
    assert_type(client.total_timeout, float)
    client.endpoint = "http://elsewhere.example"  # type: ignore[misc]


async def async_client_calls() -> None:
    async with AsyncClient("user", "secret", channel="37", signature="签名") as client:
        assert_type(client, AsyncClient)
        assert_type(await client.send("13900000000", "您好"), Receipt)
        assert_type(await client.send(13900000000, "您好", channel=37, extension=9), Receipt)
        submission = await client.check({"13900000000", "13900000001"}, "您好")
        assert_type(submission, Submission)
        assert_type(await client.submit(submission), Receipt)
        assert_type(await client.submit(submission, valid_until=None), Receipt)
    assert_type(client.settings, Settings)
    assert_type(await client.close(), None)


def client_settings(settings: Settings) -> None:
    assert_type(Client.from_settings(settings), Client)
    assert_type(AsyncClient.from_settings(settings), AsyncClient)
    assert_type(Settings("user", "secret", timeout=10), Settings)
    assert_type(settings.user_code, str)
    assert_type(settings.channel, str | None)
    assert_type(settings.protocol, ProtocolName)
    assert_type(settings.timeout, float)
    settings.timeout = 10  # type: ignore[misc]


class FixedTransport:
    """A transport of a user's own tests."""

    def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        assert_type(request.method, str)
        assert_type(request.body, bytes | None)
        return Response(200, "text/xml", b"<a/>")

    def close(self) -> None: ...


class AsyncFixedTransport:
    """A transport of a user's own asynchronous tests."""

    async def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        return Response(200, "text/xml", b"<a/>")

    async def close(self) -> None: ...


def transports() -> None:
    sync: Transport = FixedTransport()
    asynchronous: AsyncTransport = AsyncFixedTransport()
    Client("user", "secret", transport=sync)
    AsyncClient("user", "secret", transport=asynchronous)
    Client.from_env(transport=sync)
    AsyncClient.from_settings(Settings("user", "secret"), transport=asynchronous)
    Client("user", "secret", transport=asynchronous)  # type: ignore[arg-type]


def counts_submissions(started: SubmissionStarted) -> Callable[[SubmissionEnded], None]:
    """An observer of a user's own."""
    assert_type(started.recipients, int)
    assert_type(started.campaign, str | None)

    def end(ended: SubmissionEnded) -> None:
        assert_type(ended.outcome, Outcome)
        assert_type(ended.category, Category | None)
        assert_type(ended.error, type[BaseException] | None)

    return end


def observers(started: SubmissionStarted, ledger: Ledger) -> None:
    observer: Observer = counts_submissions
    assert_type(observe(observer), Observation)
    observe(lambda _started: None).remove()
    observe(print)
    observe("print")  # type: ignore[arg-type]
    started.recipients = 2  # type: ignore[misc]
    assert_type(ledger.backlog().oldest_queued_age, float | None)
    assert_type(ledger.backlog().oldest_started_age, float | None)
    assert_type(instrument(label_campaigns=True), Instrumentation)
    observe_ledger(ledger)


def values(submission: Submission, receipt: Receipt) -> None:
    assert_type(submission.recipients, tuple[str, ...])
    assert_type(submission.message, str)
    assert_type(submission.channel, str)
    assert_type(submission.extension, str)
    assert_type(receipt.batch_no, str)
    assert_type(receipt.recipients, tuple[str, ...])
    assert_type(submission.length, int)
    assert_type(submission.segments, int)
    assert_type(receipt.length, int)
    assert_type(receipt.segments, int)
    assert_type(count_segments("您好【签名】"), int)
    receipt.batch_no = "1"  # type: ignore[misc]


def errors(error: SendError, rejected: Rejected, unknown: OutcomeUnknown) -> None:
    assert_type(error.outcome, Outcome)
    assert_type(error.safe_to_resend, bool)
    assert_type(error.retryable, bool)
    assert_type(error.to_dict(), dict[str, Any])
    assert_type(YunxinError.from_dict(error.to_dict()), YunxinError)
    assert_type(error.request, RequestInfo | None)
    if error.request is not None:
        assert_type(error.request.endpoint, str)
        assert_type(error.request.recipients, int)
    assert_type(rejected.code, int | None)
    assert_type(rejected.category, Category)
    assert_type(rejected.description_zh, str)
    assert_type(rejected.description_en, str)
    assert_type(rejected.keyword, str | None)
    assert_type(rejected.temporary, bool)
    assert_type(unknown.excerpt, str | None)
    assert_type(unknown.http_status, int | None)
    as_send_errors: list[type[SendError]] = [InvalidRequest, NotSent, Rejected, OutcomeUnknown]
    as_value_error: type[ValueError] = InvalidRequest
    as_base: list[type[YunxinError]] = [ConfigurationError, *as_send_errors]
    not_a_send_error: type[SendError] = ConfigurationError  # type: ignore[assignment]
    del as_value_error, as_base, not_a_send_error


def codes(code: ResultCode) -> None:
    assert_type(code.category, Category)
    assert_type(code.description_zh, str)
    assert_type(code.description_en, str)


def wsdl_files() -> None:
    assert_type(wsdl.find(), Path)
    assert_type(wsdl.shipped_path(), Path)
    page = "http://112.124.24.5/api/MsgSend.asmx"
    assert_type(wsdl.refresh(page, timeout=5, proxy="http://proxy.example:3128"), Path)
    assert_type(wsdl.rollback(), Path)
    live = wsdl.fetch(page, verify="authority.pem")
    assert_type(live, wsdl.Wsdl)
    found = wsdl.compare(wsdl.load(), live)
    assert_type(found.lines, tuple[str, ...])
    assert_type(found.misfits, Mapping[ProtocolName, str])


async def services(client: Client, other: AsyncClient) -> None:
    assert_type(client.service.sendMesExt("user", "secret", DesNo="13900000000"), str)
    assert_type(await other.service.sendMesExt("user", "secret", DesNo="13900000000"), str)
    client.service.sendMesExt(mobile="1")  # type: ignore[call-arg]


def protocols() -> None:
    assert_type(PROTOCOLS, tuple[ProtocolName, ...])


def sandboxes() -> None:
    account = Account("acme", "secret", channels=(Channel("37"),), balance=1000)
    config = Config(accounts=(account,), banned_words=("促销",))
    assert_type(Config.from_toml("sandbox.toml"), Config)
    access = Access(allowed_hosts=(".example.com",), base_path="/sms", login=Login("ops", "secret"))
    with Sandbox(Gateway(config), access=access) as sandbox:
        assert_type(sandbox, Sandbox)
        assert_type(sandbox.url, str)
        assert_type(sandbox.times_accepted("13900000000"), int)
        assert_type(sandbox.accepted_numbers, dict[str, int])
        sandbox.add_account(account)
        sandbox.clear()
        with sandbox.inject_fault("close") as fault:
            assert_type(fault, InjectedFault)
        fault.remove()
        sandbox.inject_fault("html", status=503, when="before", probability=0.5, seed=7, times=None)
        sandbox.inject_fault("code", code=-14, numbers="13900000001", protocol="soap")
        sandbox.inject_fault("explode")  # type: ignore[call-overload]
        sandbox.inject_fault("close", when="later")  # type: ignore[call-overload]
        sandbox.inject_fault("close", often=True)  # type: ignore[call-overload]
        assert_type(sandbox.assert_sent("13900000000", "您好", times=1), tuple[Arrival, ...])
        assert_type(sandbox.inbox, tuple[Arrival, ...])
        assert_type(sandbox.arrivals, tuple[Arrival, ...])
    store = ArrivalStore(SqliteArrivals("sms.sqlite"))
    Sandbox(store=store, host="127.0.0.1", port=8080)


def arrivals(arrival: Arrival) -> None:
    assert_type(arrival.id, int)
    assert_type(arrival.received_at, datetime)
    assert_type(arrival.result, str)
    assert_type(arrival.protocol, ProtocolName | None)
    assert_type(arrival.recipients, tuple[str, ...])
    assert_type(arrival.message, str)
    assert_type(arrival.batch_no, str | None)
    assert_type(arrival.fault, str | None)


def sources() -> None:
    lists: list[Source] = [
        Csv("customers.csv", column="phone", encoding="gbk"),
        Csv(Path("customers.csv"), column=2),
        Csv("customers.csv", multiline=True),
        Excel("customers.xlsx", column="phone", sheet="list", hidden_rows="skip"),
        Text("numbers.txt"),
        Rows([{"name": "甲", "phone": "13900000000"}], column="phone"),
        Rows([("甲", 13900000000)], column=2),
    ]
    shown = preview("job", lists[0], "您好【签名】", channel=37)
    assert_type(shown, Preview)
    assert_type(shown.plan, Plan)
    assert_type(shown.samples, tuple[Sample, ...])
    assert_type(shown.numbers_by_segments, dict[int, int])
    assert_type(shown.cost("0.045"), Decimal)
    shown.cost(0.045)  # type: ignore[arg-type]
    assert_type(shown.plan.source_notes, tuple[str, ...])
    assert_type(lists[0].notes, Sequence[str])
    preview("job", lists[0], "您好【签名】")  # type: ignore[call-arg]


def ledger_calls(client: Client, async_client: AsyncClient) -> None:
    options: PlanOptions = {
        "channel": 37,
        "signature": "签名",
        "max_segments": 3,
        "strict": True,
        "dash_is_empty": True,
        "marketing": False,
    }

    def on_skipped(line: SkippedLine) -> None:
        assert_type(line.line, int)
        assert_type(line.value, str)
        assert_type(line.reason, str)

    def on_progress(progress: Progress) -> None:
        assert_type(progress.in_flight, int)
        assert_type(progress.until, datetime | None)

    with Ledger("ledger.sqlite", heartbeat_timeout=10, create=False) as ledger:
        assert_type(ledger, Ledger)
        assert_type(
            ledger.plan("job", Csv("a.csv"), "您好", on_skipped=on_skipped, **options), Plan
        )
        ledger.plan("job", ["13900000000", 13900000001], "您好【签名】", channel="37")
        assert_type(ledger.preview("job"), Preview)
        status = ledger.run(
            "job",
            client,
            concurrency=8,
            rate_limit=20,
            numbers_rate_limit=1000.0,
            sending_hours="08:00-21:00",
            timezone="Asia/Shanghai",
            isolate=True,
            failure_threshold=3,
            on_progress=on_progress,
            stop=threading.Event(),
        )
        assert_type(status, Status)
        ledger.run("job", async_client)  # type: ignore[arg-type]
        ledger.start("job", workers=3, concurrency=8, sending_hours="08:00-21:00")
        ledger.pace.set("account-37", rate=50, numbers_rate=10_000)
        assert_type(ledger.pace.list(), tuple[Pace, ...])
        assert_type(ledger.pace.remove("account-37"), None)
        ledger.start("job", pace="account-37")
        ledger.start("job", speed=20)  # type: ignore[call-arg]
        assert_type(ledger.work_slice("job", client, seconds=10), Slice)
        ledger.work_slice("job", async_client)  # type: ignore[arg-type]
        assert_type(ledger.sweep(), Sweep)
        assert_type(ledger.stop("job"), None)
        ledger.run("job", client, speed=20)  # type: ignore[call-arg]
        assert_type(ledger.campaigns(), list[str])
        assert_type(ledger.status("job"), Status)
        assert_type(ledger.status("job").exit_status, int)
        assert_type(ledger.statuses(), list[Status])
        assert_type(ledger.progress("job"), Progress)
        assert_type(ledger.activity("job"), Activity)
        assert_type(ledger.results("job", states=[State.UNKNOWN]), Iterator[NumberResult])
        assert_type(ledger.report("job", timezone="UTC", language="zh"), str)
        assert_type(ledger.pause("job", by="me", reason="holiday"), None)
        assert_type(ledger.resume("job"), None)
        assert_type(ledger.cancel("job", by="me", on_progress=print), int)
        assert_type(ledger.delete("job"), None)
        assert_type(ledger.retry("job", code=-7, unsafe=True, by="ops"), int)
        ledger.retry("job")  # type: ignore[call-arg]
        ledger.resolve("job", "accepted", by="ops", submission_ids=[1, 2], batch_no="1")
        ledger.resolve("job", "perhaps", by="ops")  # type: ignore[arg-type]
        assert_type(ledger.results("job"), Iterator[NumberResult])
        assert_type(ledger.timings("job"), list[Timing])
        assert_type(ledger.skipped_lines("job"), Iterator[SkippedLine])
        assert_type(ledger.find(13900000000), list[SubmissionRecord])
        assert_type(ledger.report("job"), str)
        assert_type(ledger.purge(older_than=timedelta(days=90)), int)
        assert_type(ledger.purge(older_than=7_776_000.0), int)
        suppression = ledger.suppression
        added = suppression.add(Csv("a.csv"), by="ops", reason="x", hashed=True)
        assert_type(added, int)
        suppression.add(["13900000000"])  # type: ignore[call-arg]
        assert_type(suppression.remove(13900000000), int)
        assert_type(suppression.entries(), Iterator[SuppressedNumber])
        once = ledger.once
        assert_type(once.send(client, "order-42", "13900000000", "您好", channel=37), Receipt)
        once.send(async_client, "order-42", "13900000000", "您好")  # type: ignore[arg-type]
        assert_type(once.counts(), dict[State, int])
        assert_type(once.keys(State.UNKNOWN), Iterator[str])
        assert_type(once.retry("order-42", unsafe=True, by="ops"), None)
        assert_type(once.resolve("order-42", "resend", by="ops"), None)


async def async_ledger_calls(client: AsyncClient, sync_client: Client) -> None:
    async with AsyncLedger("postgresql://localhost/sms") as ledger:
        assert_type(ledger, AsyncLedger)
        assert_type(await ledger.preview("job"), Preview)
        assert_type(await ledger.plan("job", Text("a.txt"), "您好【签名】", channel=37), Plan)
        status = await ledger.run("job", client, concurrency=8, stop=asyncio.Event())
        assert_type(status, Status)
        await ledger.run("job", sync_client)  # type: ignore[arg-type]
        await ledger.run("job", client, stop=threading.Event())  # type: ignore[arg-type]
        assert_type(await ledger.campaigns(), list[str])
        assert_type(await ledger.retry("job", by="ops"), int)
        assert_type(await ledger.resolve("job", "not_sent", by="ops"), int)
        assert_type(ledger.results("job"), AsyncIterator[NumberResult])
        assert_type(ledger.skipped_lines("job"), AsyncIterator[SkippedLine])
        assert_type(await ledger.timings("job"), list[Timing])
        assert_type(await ledger.find("13900000000"), list[SubmissionRecord])
        suppression = ledger.suppression
        assert_type(await suppression.add(["13900000000"], by="ops"), int)
        assert_type(await suppression.remove(["13900000000"]), int)
        assert_type(suppression.entries(), AsyncIterator[SuppressedNumber])
        once = ledger.once
        assert_type(await once.send(client, "order-42", "13900000000", "您好"), Receipt)
        assert_type(await once.counts(), dict[State, int])
        assert_type(once.keys(State.UNKNOWN), AsyncIterator[str])
        assert_type(await once.resolve("order-42", "resend", by="ops"), None)


def ledger_values(
    status: Status, result: NumberResult, timing: Timing, record: SubmissionRecord
) -> None:
    assert_type(status.created_at, datetime)
    assert_type(status.paused_until, datetime | None)
    assert_type(status.purged_at, datetime | None)
    assert_type(status.left_behind, dict[str, int])
    assert_type(status.numbers, dict[State, int])
    assert_type(status.submissions, dict[State, int])
    assert_type(status.on_hold, dict[str, int])
    assert_type(status.skipped_by, dict[SkipKind, int])
    assert_type(result.number, str)
    assert_type(result.state, State)
    assert_type(result.submission_id, int)
    assert_type(timing.sent_at, datetime)
    assert_type(record.campaign, str | None)
    assert_type(record.history, tuple[HistoryEntry, ...])
    assert_type(record.history[0].at, datetime)
    assert_type(record.history[0].before, State)


def celery_tasks(app: Celery) -> None:
    assert_type(setup_celery(app), None)
    assert_type(setup_celery(app, ledger=lambda: Ledger("a.sqlite"), client=Client.from_env), None)
    setup_celery(app, slice_seconds=10, sweep_interval=10.0)


def django_app(app: Celery) -> None:
    assert_type(get_client(), Client)
    ledger = get_ledger()
    assert_type(ledger, DjangoLedger)
    assert_type(ledger.status("job"), Status)
    assert_type(ledger.once.enqueue("order-42", "13900000000", "您好"), bool)
    ledger.once.enqueue("order-42", "13900000000", "您好", chanel=37)  # type: ignore[call-arg]
    assert_type(ledger.once.send_queued(get_client(), "order-42"), Receipt)
    assert_type(outbox[0], OutboxMessage)
    assert_type([message.key for message in outbox], list[str | None])
    assert_type(setup_celery_of_django(app), None)
