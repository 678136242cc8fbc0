"""Every fault against both clients and all ports: none leads to a wrong outcome."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args
from urllib.parse import urlencode

import pytest

from tests.support.asmx_requests import GOOD
from tests.support.client_matrix import ClientVariant, client_class, protocol_name
from tests.support.raw_http import connected, port_of, written
from tests.support.summary import note
from yunxin_soap import (
    BalanceRejected,
    Client,
    ConfigurationError,
    ContentRejected,
    CredentialsRejected,
    NotSent,
    OutcomeUnknown,
    Receipt,
    SendError,
    wsdl,
)
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals.models import Outcome
from yunxin_soap.sandbox.faults.injector import FaultInjector, TriggeredFault
from yunxin_soap.sandbox.faults.model import (
    FAULT_TYPES,
    Fault,
    FaultKind,
    FaultOptions,
    option_names,
)

NUMBERS = ["13900000000", "13900000001"]

# What is provoked, how the client has to see it, and whether the gateway accepted the submit.
CASES: dict[str, tuple[dict[str, Any], type, bool]] = {
    "delay": ({"fault": "delay", "seconds": 0.05}, Receipt, True),
    "delay, beyond the timeout": ({"fault": "delay", "seconds": 30}, OutcomeUnknown, True),
    "close, unread": ({"fault": "close", "when": "unread"}, OutcomeUnknown, False),
    "close, before": ({"fault": "close", "when": "before"}, OutcomeUnknown, False),
    "close, after": ({"fault": "close"}, OutcomeUnknown, True),
    "reset, unread": ({"fault": "reset", "when": "unread"}, OutcomeUnknown, False),
    "reset, before": ({"fault": "reset", "when": "before"}, OutcomeUnknown, False),
    "reset, after": ({"fault": "reset"}, OutcomeUnknown, True),
    "hang, unread": ({"fault": "hang", "when": "unread"}, OutcomeUnknown, False),
    "hang, before": ({"fault": "hang", "when": "before"}, OutcomeUnknown, False),
    "hang, after": ({"fault": "hang"}, OutcomeUnknown, True),
    "cut": ({"fault": "cut"}, OutcomeUnknown, True),
    "garble": ({"fault": "garble"}, OutcomeUnknown, True),
    "trickle": ({"fault": "trickle", "seconds": 0.0}, Receipt, True),
    "trickle, beyond the timeout": ({"fault": "trickle", "seconds": 0.1}, OutcomeUnknown, True),
    "content-type": ({"fault": "content-type"}, OutcomeUnknown, True),
    "html 502, before": ({"fault": "html", "when": "before"}, OutcomeUnknown, False),
    "html 502, after": ({"fault": "html"}, OutcomeUnknown, True),
    "html 503, after": ({"fault": "html", "status": 503}, OutcomeUnknown, True),
    "html 504, after": ({"fault": "html", "status": 504}, OutcomeUnknown, True),
    "error, before": ({"fault": "error", "when": "before"}, OutcomeUnknown, False),
    "error, after": ({"fault": "error"}, OutcomeUnknown, True),
    "code -6": ({"fault": "code", "code": "-6:促销"}, ContentRejected, False),
    "balance": ({"fault": "balance", "left": 1}, BalanceRejected, False),
    "refuse": ({"fault": "refuse", "seconds": 60}, NotSent, False),
}
SEEN = {Receipt: "accepted", NotSent: "not_sent", OutcomeUnknown: "unknown"}


def client_of(sandbox: Sandbox, protocol: ClientVariant, *, timeout: float = 30.0) -> Any:
    return client_class(protocol)(
        "demo",
        "demo",
        channel="37",
        signature="签名",
        endpoint=sandbox.url,
        protocol=protocol_name(protocol),
        timeout=timeout,
        retries=0,
    )


def send(client: Any, to: Any = NUMBERS) -> Receipt | SendError:
    try:
        receipt = client.send(to, "您好")
    except SendError as error:
        return error
    assert isinstance(receipt, Receipt)
    return receipt


@pytest.mark.parametrize("kept_alive", [False, True], ids=["fresh", "kept alive"])
@pytest.mark.parametrize("case", CASES)
def test_no_fault_leads_to_a_wrong_outcome(
    protocol: ClientVariant, case: str, kept_alive: bool, request: pytest.FixtureRequest
) -> None:
    options, expected, accepted = CASES[case]
    named = dict(options)
    kind = named.pop("fault")
    if kept_alive and kind == "refuse":
        pytest.skip("a connection that is there already is not refused")
    with Sandbox() as sandbox:
        client = client_of(
            sandbox, protocol, timeout=0.2 if "hang" in case or "beyond" in case else 20.0
        )
        with client:
            if kept_alive:
                assert isinstance(send(client), Receipt)
                sandbox.store.clear()
            sandbox.inject_fault(kind, **named)
            ended = send(client)
        arrivals = sandbox.arrivals
    row = "async" if protocol.is_async else "sync"
    seen = SEEN.get(type(ended), "rejected")
    note(request.config, "outcome of each fault", case, f"{row} {protocol}", seen)
    assert isinstance(ended, expected)
    assert [arrival.outcome is Outcome.ACCEPTED for arrival in arrivals if arrival.batch_no] == [
        True
    ] * accepted
    for number in NUMBERS:
        assert sandbox.times_accepted(number) == accepted
    if isinstance(ended, Receipt):
        assert [ended.batch_no] == [arrival.batch_no for arrival in arrivals]


def test_a_refusal_whose_answer_is_lost_is_unknown_too(
    protocol: ClientVariant, sandbox: Sandbox
) -> None:
    sandbox.inject_fault("close")
    with client_of(sandbox, protocol) as client, pytest.raises(OutcomeUnknown):
        client.send("13900001007", "您好")
    (arrival,) = sandbox.arrivals
    assert (arrival.outcome, arrival.result) == (Outcome.REJECTED, "-7")


def test_after_its_fault_a_gateway_is_well_again(sandbox: Sandbox) -> None:
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        sandbox.inject_fault("error", times=2)
        for _ in range(2):
            assert isinstance(send(client), OutcomeUnknown)
        assert isinstance(send(client), Receipt)
        with sandbox.inject_fault("code", code="-7", times=None):
            for _ in range(3):
                assert isinstance(send(client), BalanceRejected)
        assert isinstance(send(client), Receipt)


def test_a_port_that_is_shut_opens_again(sandbox: Sandbox) -> None:
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        sandbox.inject_fault("refuse", seconds=0.3)
        # The library itself tries again, and nothing was sent before.
        deadline = time.monotonic() + 20
        while isinstance(ended := send(client), NotSent):
            assert time.monotonic() < deadline
    assert isinstance(ended, Receipt)
    assert len(sandbox.inbox) == 1


def test_a_port_is_shut_from_within_another_event_loop_too(sandbox: Sandbox) -> None:
    async def provoke() -> None:
        sandbox.inject_fault("refuse", seconds=0.3)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port_of(sandbox))).close()

    asyncio.run(provoke())
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        deadline = time.monotonic() + 20
        while isinstance(send(client), NotSent):
            assert time.monotonic() < deadline


def met(faults: FaultInjector, count: int, **fields: str) -> list[TriggeredFault | None]:
    return [faults.trigger({"DesNo": "13900000000", **fields}, "soap") for _ in range(count)]


@pytest.mark.parametrize(
    ("options", "fitting", "other"),
    [
        ({"numbers": ["13900000001"]}, {"DesNo": "13900000000,13900000001"}, {}),
        ({"user_code": "a"}, {"userCode": "a"}, {"userCode": "b"}),
        ({"text": "您"}, {"Msg": "您好"}, {"Msg": "好"}),
    ],
)
def test_a_fault_for_some_submits_alone(
    options: dict[str, Any], fitting: dict[str, str], other: dict[str, str]
) -> None:
    faults = FaultInjector()
    faults.add(Fault.from_options("error", **options))
    assert met(faults, 1, **other) == [None]
    assert met(faults, 1, **fitting) != [None]


def test_a_fault_for_one_port_alone() -> None:
    faults = FaultInjector()
    faults.add(Fault.from_options("error", protocol="http-get"))
    assert [bool(faults.trigger({}, port)) for port in wsdl.PROTOCOLS] == [
        False,
        False,
        True,
        False,
    ]


def test_some_are_spared_and_some_are_met() -> None:
    faults = FaultInjector()
    number = faults.add(Fault.from_options("error", skip=2, times=3))
    assert [bool(each) for each in met(faults, 7)] == [False] * 2 + [True] * 3 + [False] * 2
    assert (faults.statuses()[number].triggered, faults.statuses()[number].exhausted) == (3, True)
    assert faults.remove(number)
    assert not faults.remove(number)


def test_a_reset_is_no_plain_close(sandbox: Sandbox) -> None:
    for kind in ("close", "reset"):
        sandbox.inject_fault(kind)
        with connected(sandbox) as connection:
            connection.sendall(written("GET", "/api/MsgSend.asmx/sendMesExt?" + urlencode(GOOD)))
            if kind == "close":
                assert connection.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.9])
def test_as_many_are_met_as_is_likely(probability: float) -> None:
    faults = FaultInjector()
    faults.add(Fault.from_options("error", probability=probability, seed=3))
    share = sum(each is not None for each in met(faults, 10_000)) / 10_000
    assert abs(share - probability) < 0.02


def test_faults_may_change_while_submits_arrive() -> None:
    faults = FaultInjector()
    for _ in range(200):  # so that to look through them takes a while
        faults.add(Fault.from_options("code", code=-14, numbers="13900000009"))
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            faults.remove(faults.add(Fault.from_options("close", numbers="13900000001")))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(change)
            try:
                assert met(faults, 3_000) == [None] * 3_000
            finally:
                done.set()
            changing.result()
    finally:
        sys.setswitchinterval(before)


def test_a_refusal_that_has_passed_is_over() -> None:
    faults = FaultInjector()
    number = faults.add(Fault.from_options("refuse", seconds=0.01))
    while faults.seconds_until_open():
        pass
    assert faults.statuses()[number].exhausted


def test_what_is_over_makes_room() -> None:
    faults = FaultInjector(max_faults=1)
    faults.add(Fault.from_options("error", times=1))
    with pytest.raises(ConfigurationError, match="1 faults are active"):
        faults.add(Fault.from_options("error"))
    met(faults, 1)
    number = faults.add(Fault.from_options("error"))
    assert list(faults.statuses()) == [number]


def test_who_listens_is_told_of_changes() -> None:
    faults, told = FaultInjector(), []
    stop = faults.subscribe(lambda: told.append(len(faults.statuses())))
    number = faults.add(Fault.from_options("error", times=1))
    met(faults, 3)
    faults.remove(number)
    faults.remove(number)
    assert told == [1, 1, 0]
    stop()
    faults.add(Fault.from_options("error"))
    assert told == [1, 1, 0]


def test_a_refusal_that_ends_by_itself_is_told(sandbox: Sandbox) -> None:
    standing = []
    over = threading.Event()

    def told() -> None:
        standing.append([each.exhausted for each in sandbox.faults.statuses().values()])
        if standing[-1] == [True]:
            over.set()

    stop = sandbox.faults.subscribe(told)
    sandbox.inject_fault("refuse", seconds=0.05)
    assert over.wait(20)
    stop()


def test_spaces_between_options_are_passed_over() -> None:
    assert Fault.from_text("close: when=before, times=2") == Fault.from_options(
        "close", when="before", times=2
    )


def test_the_first_that_fits_is_met() -> None:
    faults = FaultInjector()
    faults.add(Fault.from_options("code", code="-7", times=1))
    faults.add(Fault.from_options("error"))
    assert [each.kind for each in met(faults, 2) if each] == ["code", "error"]
    faults.clear()
    assert met(faults, 1) == [None]


@pytest.mark.parametrize("option", ["probability", "jitter"])
def test_the_same_seed_repeats_a_run(option: str) -> None:
    def run(seed: int) -> list[Any]:
        faults = FaultInjector()
        faults.add(Fault.from_options("trickle", seed=seed, **{option: 0.5}))
        return [each and each.seconds for each in met(faults, 200)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    if option == "probability":
        assert 60 < sum(each is not None for each in run(1)) < 140
    else:
        assert all(0 <= each <= 0.5 for each in run(1))


def test_a_balance_runs_out_after_so_many_numbers() -> None:
    faults = FaultInjector()
    faults.add(Fault.from_options("balance", left=5))
    refused = []
    for size in (2, 2, 2, 1, 1):
        fields = {"DesNo": ",".join(["13900000000"] * size)}
        refused.append(faults.trigger(fields, "soap") is not None)
        if not refused[-1]:
            faults.charge(fields, "soap")
    assert refused == [False, False, True, False, True]


def test_what_was_not_accepted_costs_nothing(sandbox: Sandbox) -> None:
    client, wrong = (
        Client("demo", password, channel="37", signature="签名", endpoint=sandbox.url)
        for password in ("demo", "wrong")
    )
    with client, wrong:
        sandbox.inject_fault("error", when="before")
        sandbox.inject_fault("balance", left=1, times=None)
        assert isinstance(send(client, to="13900000000"), OutcomeUnknown)
        assert isinstance(send(wrong, to="13900000000"), CredentialsRejected)
        assert isinstance(send(client, to="13900000000"), Receipt)
        assert isinstance(send(client, to="13900000000"), BalanceRejected)


def test_numbers_are_given_as_recipients_are() -> None:
    listed = Fault.from_options("close", numbers=["13900000000", "13900000001"])
    assert Fault.from_options("close", numbers="13900000000,13900000001") == listed


def test_faultkind_names_every_fault_class() -> None:
    """`FaultKind` lists exactly the kinds that have a class."""
    assert get_args(FaultKind) == tuple(FAULT_TYPES)


def test_faultoptions_has_every_option_of_every_kind() -> None:
    """`FaultOptions` lists exactly the options of the classes; `times` is a parameter itself."""
    names = {name for kind in FAULT_TYPES for name in option_names(kind)}
    assert names == FaultOptions.__annotations__.keys() | {"times"}


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (
            lambda: Fault.from_options("nothing"),
            "There is no fault 'nothing': use one of delay, close",
        ),
        (
            lambda: Fault.from_options("close", second=1),
            "unknown option 'second'; the options are when, times, seed",
        ),
        (lambda: Fault.from_options("delay", seconds="1"), "seconds must be a number"),
        (
            lambda: Fault.from_options("delay", seconds=-1),
            "fault 'delay': seconds must be at least 0.",
        ),
        (
            lambda: Fault.from_options("delay", seconds=1, when="before"),
            "fault 'delay': when must be after.",
        ),
        (lambda: Fault.from_options("cut", when="unread"), "fault 'cut': when must be after."),
        (
            lambda: Fault.from_options("close", when="unread", text="x"),
            "when='unread' and text exclude each",
        ),
        (
            lambda: Fault.from_options("close", when="unread", protocol="soap"),
            "when='unread' and protocol exclude each",
        ),
        (
            lambda: Fault.from_options("delay"),
            "fault 'delay': seconds or jitter must be given, as in seconds=2.",
        ),
        (lambda: Fault.from_options("refuse"), "fault 'refuse': seconds or jitter must be given"),
        (
            lambda: Fault.from_options("refuse", seconds=1, protocol="soap"),
            "fault 'refuse' has no option 'protocol': it is for delay, close",
        ),
        (
            lambda: Fault.from_options("refuse", seconds=1, probability=0.5),
            "fault 'refuse' has no option 'probability'",
        ),
        (
            lambda: Fault.from_options("close", seconds=3),
            "fault 'close' has no option 'seconds': it is for delay, trickle, refuse.",
        ),
        (lambda: Fault.from_options("hang", jitter=0.3), "it is for delay, trickle, refuse"),
        (
            lambda: Fault.from_options("code", status=503),
            "fault 'code' has no option 'status': it is for html.",
        ),
        (
            lambda: Fault.from_options("close", code=-5),
            "fault 'close' has no option 'code': it is for code.",
        ),
        (lambda: Fault.from_options("error", left=5), "it is for balance"),
        (lambda: Fault.from_text("close:times=1,times=2"), "fault 'close': times is given twice."),
        (
            lambda: Fault.from_options("html", status=404),
            "status=404 means that nothing was sent: use when='before'",
        ),
        (
            lambda: Fault.from_options("code", code="-00"),
            "code must look like -14 or -6:促销, not '-00'.",
        ),
        (
            lambda: Fault.from_options("code", code="-abc"),
            "code must look like -14 or -6:促销, not '-abc'.",
        ),
        (
            lambda: Fault.from_options("code", code=14),
            "code must look like -14 or -6:促销, not '14'.",
        ),
        (
            lambda: Fault.from_options("code", code="-6:\x01"),
            "code must look like -14 or -6:促销, not '-6:\\x01'.",
        ),
        (lambda: Fault.from_options("code", code=True), "code must be a string"),
        (
            lambda: Fault.from_options("close", numbers=["1390000000x"]),
            "numbers[0] must be 1 to 20 digits after an optional +, not '1390000000x'.",
        ),
        (
            lambda: Fault.from_text("close:numbers=13900000001,13900000002"),
            "+ joins several numbers",
        ),
        (
            lambda: Fault.from_options("close", when="later"),
            "when must be one of unread, before, after.",
        ),
        (
            lambda: Fault.from_options("close", protocol="soap13"),
            "protocol must be one of soap, soap12, http-get, http-post.",
        ),
        (lambda: Fault.from_options("close", numbers=139), "numbers must be an array of strings"),
        (lambda: Fault.from_options("close", times=0), "times must be at least 1."),
        (lambda: Fault.from_options("close", probability=0), "probability must be more than 0."),
        (lambda: Fault.from_options("close", probability=True), "probability must be a number"),
        (lambda: Fault.from_options("html", status=200), "status must be at least 400."),
        (lambda: Fault.from_options("code", code="7"), "code must look like"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(make: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert named in str(caught.value)
