"""The REST API, and how the page is served."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from openapi_spec_validator import validate

from tests.support.raw_http import connected, exchange, written
from yunxin_soap import BalanceRejected, Client, NotSent
from yunxin_soap.message import segments
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals import bounded
from yunxin_soap.sandbox.arrivals.store import Outcome
from yunxin_soap.sandbox.faults.injector import MAX_FAULTS
from yunxin_soap.sandbox.faults.model import FAULT_TYPES
from yunxin_soap.sandbox.inbox import api as inbox
from yunxin_soap.sandbox.inbox import events

NUMBERS = "13900000000,13900000001"


class Api:
    """The API of one sandbox, as a test in another language would use it."""

    def __init__(self, sandbox: Sandbox) -> None:
        parts = urlsplit(sandbox.url)
        self.origin = f"{parts.scheme}://{parts.netloc}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, f"{self.origin}/api/v1{path}", timeout=20, **options)

    def get(self, path: str, **query: Any) -> Any:
        response = self.call("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """One of its own: the record also has what a test before left under way."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    return Api(sandbox)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        yield client


def test_messages_are_listed_the_latest_first(api: Api, client: Client, sandbox: Sandbox) -> None:
    receipt = client.send(NUMBERS, "第一条")
    with pytest.raises(BalanceRejected):
        client.send("13900001007", "第二条")
    exchange(sandbox, written("GET", "/api/MsgSend.asmx/sendMesExt?Msg=x"))
    answer = api.get("/messages")
    assert (answer["found"], answer["total"], answer["dropped"]) == (3, 3, 0)
    malformed, rejected, accepted = answer["messages"]
    assert malformed["outcome"] == "malformed"
    assert (rejected["outcome"], rejected["code"]) == ("rejected", -7)
    assert (rejected["chinese"], rejected["english"]) == ("余额不足", "the balance is too low")
    assert accepted["batch_no"] == receipt.batch_no
    assert accepted["recipients"] == NUMBERS.split(",")
    assert (accepted["length"], accepted["segments"]) == (7, 1)
    assert "request" not in accepted
    assert "userPass>***<" in api.get(f"/messages/{accepted['number']}")["request"]
    assert api.call("GET", "/messages/99").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["c", "b", "a"]),
        ({"text": "A【"}, ["a"]),
        ({"text": "0000001"}, ["b"]),
        ({"recipient": "13900000000"}, ["c", "a"]),
        ({"recipient": "1390000000"}, []),
        ({"outcome": "accepted"}, ["c", "b", "a"]),
        ({"outcome": "rejected"}, []),
        ({"limit": 2}, ["c", "b"]),
        ({"after": 1}, ["c", "b"]),
        ({"before": 3}, ["b", "a"]),
        ({"before": 0}, []),
        ({"text": "demo"}, ["c", "b", "a"]),
    ],
)
def test_a_search(api: Api, query: dict[str, Any], expected: list[str]) -> None:
    with Sandbox() as sandbox:
        with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
            for number, text in (("0", "a"), ("1", "b"), ("0", "c")):
                client.send(f"1390000000{number}", f"{text}【签名】")
        found = Api(sandbox).get("/messages", **query)["messages"]
    assert [message["message"][0] for message in found] == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"kind": "delay", "seconds": 1, "text": "\\ud800"}', 422),
        (b'{"kind": "code", "code": "-\\ud800"}', 422),
        (b'{"kind": "code", "code": "-' + b"9" * 5000 + b'"}', 422),
        (b"[" * 60_000, 400),
        (b" " * 5_000_000, 413),
    ],
)
def test_a_fault_that_would_break_the_inbox_is_refused(api: Api, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.call("POST", "/faults", data=body, headers=headers).status_code == status
    assert api.get("/faults") == []


@pytest.mark.parametrize("host", ["[", "[::1", "a]", "[x]", "[:::::]"])
def test_a_host_that_is_none_is_refused(sandbox: Sandbox, host: str) -> None:
    for path in ("/api/v1/messages", "/api/MsgSend.asmx?op=sendMesExt"):
        answer = exchange(sandbox, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.status == 400


def test_a_wrong_method_or_path_is_said_to_be(api: Api) -> None:
    wrong = api.call("PUT", "/faults")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, POST, DELETE")
    assert api.call("GET", "/messagesXcsv").status_code == 404


def test_followers_leave_connections_for_the_service(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_LISTENERS", 1)
    with requests.get(f"{api.origin}/api/v1/events", stream=True, timeout=20) as follows:
        lines = follows.iter_lines()  # the connection is closed once it is let go
        assert next(lines) == b"retry: 1000"
        assert api.call("GET", "/events").status_code == 503
        assert api.call("GET", "/wait").status_code == 503
        assert client.send("13900000000", "一").batch_no


def test_a_closed_door_is_opened_again(api: Api, client: Client, sandbox: Sandbox) -> None:
    sandbox.inject_fault("refuse", seconds=600)
    with pytest.raises(NotSent):
        client.send("13900000000", "一")
    sandbox.clear()
    assert client.send("13900000000", "一").batch_no


def test_a_search_and_long_messages(api: Api, client: Client) -> None:
    client.send("13900000000", "字" * 20_000)
    (listed,) = api.get("/messages")["messages"]
    assert (len(listed["message"]), listed["length"]) == (10_000, 20_004)
    assert len(api.get(f"/messages/{listed['number']}")["message"]) == 20_004
    assert len(api.get("/messages.json")[0]["message"]) == 20_004
    assert "字" * 20_000 in api.call("GET", "/messages.csv").content.decode()


def test_a_mistyped_search_does_not_find_everything(api: Api, client: Client) -> None:
    client.send("13900000000", "一")
    for path in ("/messages", "/messages.csv", "/messages.json", "/wait"):
        response = api.call("GET", path, params={"recipients": "13900000001"})
        assert response.status_code == 400
        assert "'recipients' is not known; known are after," in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/messages?recipient=13900000001"),
        ("DELETE", "/faults?numbers=1"),
        ("GET", "/messages/1?raw=1"),
        ("GET", "/numbers/13900000000?x="),
        ("GET", "/events?recipient=13900000001"),
        ("GET", "/messages?outcome=accepted&outcome=rejected"),
        ("GET", "/messages?limit=5&limit=x"),
    ],
)
def test_no_parameter_is_passed_over(api: Api, client: Client, method: str, path: str) -> None:
    client.send("13900000000", "一")
    api.call("POST", "/faults", json={"kind": "error"})
    assert api.call(method, path).status_code == 400
    assert (api.get("/messages")["total"], len(api.get("/faults"))) == (1, 1)


@pytest.mark.parametrize(
    "query",
    [
        {"outcome": ""},
        {"outcome": "x"},
        {"limit": "x"},
        {"limit": 1001},
        {"after": -1},
        {"before": "1.5"},
    ],
)
def test_a_search_that_makes_no_sense(api: Api, query: dict[str, Any]) -> None:
    response = api.call("GET", "/messages", params=query)
    assert response.status_code == 422
    assert next(iter(query)) in response.json()["error"]


def test_downloads(api: Api, client: Client) -> None:
    receipt = client.send(NUMBERS, "=1+1\n")
    as_json = api.call("GET", "/messages.json")
    assert as_json.json()[0]["message"] == "=1+1\n【签名】"
    as_csv = api.call("GET", "/messages.csv")
    assert "attachment" in as_csv.headers["Content-Disposition"]
    (row,) = csv.DictReader(io.StringIO(as_csv.content.decode("utf-8-sig")))
    assert row["message"] == "'=1+1\n【签名】"  # no spreadsheet runs it
    assert row["batch_no"] == f"'{receipt.batch_no}"
    assert row["recipients"] == NUMBERS.replace(",", " ")


def test_waiting_for_a_message(api: Api, client: Client, sandbox: Sandbox) -> None:
    found: list[Any] = []
    started = threading.Event()

    def wait() -> None:
        started.set()
        found.append(api.get("/wait", recipient="13900000001", timeout=20))

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait()
    client.send("13900000000", "不是这条")
    receipt = client.send("13900000001", "就是这条")
    thread.join()
    assert found[0]["batch_no"] == receipt.batch_no
    assert api.get("/wait", batch_no=receipt.batch_no)["message"] == "就是这条【签名】"
    late = api.call("GET", "/wait", params={"text": "没有", "timeout": "0.1"})
    assert (late.status_code, late.json()) == (
        404,
        {"error": "No such message came within 0.1 s."},
    )
    for timeout in ("61", "1e3", "nan", "-1", "x"):
        assert api.call("GET", "/wait", params={"timeout": timeout}).status_code == 422
    for timeout in ("1e-3", "0.0001", "0"):
        assert (
            api.call("GET", "/wait", params={"text": "没有", "timeout": timeout}).status_code == 404
        )


def test_how_often_a_number_was_accepted_and_clearing(api: Api, client: Client) -> None:
    client.send("13900000000", "一")
    client.send(NUMBERS, "二")
    assert api.get("/numbers/13900000000") == {"number": "13900000000", "accepted": 2}
    assert api.call("DELETE", "/messages").status_code == 200
    assert api.get("/numbers/13900000000")["accepted"] == 0
    assert api.get("/messages")["total"] == 0


@pytest.mark.parametrize("number", ["abc", "139000O0000", "1" * 21, "139 0000"])
def test_what_is_no_number_was_not_just_never_accepted(api: Api, number: str) -> None:
    assert api.call("GET", f"/numbers/{number}").status_code == 422


def test_faults_by_rest(api: Api, client: Client) -> None:
    made = api.call("POST", "/faults", json={"kind": "code", "code": "-7", "times": 1})
    assert made.status_code == 201
    assert (made.json()["kind"], made.json()["triggered"]) == ("code", 0)
    with pytest.raises(BalanceRejected):
        client.send("13900000000", "一")
    client.send("13900000000", "二")
    (fault,) = api.get("/faults")
    assert (fault["id"], fault["triggered"], fault["exhausted"]) == (made.json()["id"], 1, True)
    assert api.call("DELETE", f"/faults/{fault['id']}").status_code == 200
    assert api.call("DELETE", f"/faults/{fault['id']}").status_code == 404
    api.call("POST", "/faults", json={"kind": "error"})
    api.call("DELETE", "/faults")
    assert api.get("/faults") == []


def test_a_service_that_is_deaf_can_still_be_mended(api: Api, client: Client) -> None:
    api.call("POST", "/faults", json={"kind": "close", "when": "unread"})
    assert requests.get(api.origin, timeout=20).status_code == 200
    assert api.call("DELETE", "/faults").status_code == 200
    client.send("13900000000", "一")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b'{"kind": "error"}', "headers": {"Content-Type": "text/plain"}}, 415),
        ({"json": []}, 422),
        ({"json": {"kind": 1}}, 422),
        ({"json": {"kind": "x"}}, 422),
        ({"json": {"kind": "error", "x": 1}}, 422),
        ({"json": {"kind": "error", "probability": 2}}, 422),
        ({"json": {"kind": "delay", "seconds": float("nan")}}, 422),
    ],
)
def test_a_fault_that_makes_no_sense(api: Api, options: dict[str, Any], status: int) -> None:
    if "json" in options:
        options = {
            "data": json.dumps(options["json"]),
            "headers": {"Content-Type": "application/json"},
        }
    response = api.call("POST", "/faults", **options)
    assert response.status_code == status
    assert response.json()["error"]
    assert api.get("/faults") == []


def test_faults_are_bounded(api: Api, sandbox: Sandbox) -> None:
    for _ in range(MAX_FAULTS - 1):
        sandbox.inject_fault("error", times=None)
    assert api.call("POST", "/faults", json={"kind": "error"}).status_code == 201
    refused = api.call("POST", "/faults", json={"kind": "error"})
    assert (refused.status_code, refused.json()["error"]) == (
        422,
        "1000 faults are active: remove some of them.",
    )


def test_a_listener_that_is_behind_is_not_told_what_was_dropped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MAX_ITEMS", 1)
    with connected(sandbox) as follows:
        follows.sendall(written("GET", "/api/v1/events"))
        assert follows.recv(15) == b"HTTP/1.1 200 OK"
        for text in ("第一条", "第二条"):
            sandbox.record.add(
                received_at=datetime.now(timezone.utc),
                outcome=Outcome.REJECTED,
                answer="-5",
                status=200,
                remote="127.0.0.1",
                message=text,
            )
        heard = b""
        while "第二条".encode() not in heard:
            heard += follows.recv(1 << 16)
    assert sandbox.record.arrival(1) is None


def test_events(api: Api, client: Client) -> None:
    with requests.get(f"{api.origin}/api/v1/events", stream=True, timeout=20) as follows:
        assert follows.headers["Content-Type"] == "text/event-stream"
        lines = follows.iter_lines()
        assert next(lines) == b"retry: 1000"
        receipt = client.send("13900000000", "一\n<script>")
        api.call("DELETE", "/messages")
        said = [next(lines) for _ in range(6)]
    assert said[1] == b"event: message"
    assert json.loads(said[2].removeprefix(b"data: "))["batch_no"] == receipt.batch_no
    assert said[4:] == [b"event: cleared", b"data: {}"]


def test_changes_of_faults_are_events(api: Api, client: Client) -> None:
    with requests.get(f"{api.origin}/api/v1/events", stream=True, timeout=20) as follows:
        lines = follows.iter_lines()
        assert next(lines) == b"retry: 1000"
        api.call("POST", "/faults", json={"kind": "code", "code": "-7", "times": 1})
        said = [next(lines) for _ in range(3)]
        assert said[1:] == [b"event: faults", b"data: {}"]
        with pytest.raises(BalanceRejected):
            client.send("13900000000", "一")
        said = [next(lines) for _ in range(6)]
    assert b"event: faults" in said
    assert b"event: message" in said


def test_a_listener_that_reads_nothing_is_cut_off(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_BEHIND", 3)
    with connected(sandbox) as lazy:
        lazy.sendall(written("GET", "/api/v1/events"))
        assert lazy.recv(15) == b"HTTP/1.1 200 OK"
        for _ in range(2000):  # more than the buffers of a connection take
            sandbox.record.add(
                received_at=datetime.now(timezone.utc),
                outcome=Outcome.REJECTED,
                answer="-5",
                status=200,
                remote="127.0.0.1",
                message="字" * 10_000,
            )
        received = 0
        with contextlib.suppress(ConnectionError):
            while piece := lazy.recv(1 << 20):
                received += len(piece)
    assert received < 30_000_000


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1%.evil.example"},
        {"Host": "localhost.evil.example:80"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/messages"), ("DELETE", "/messages")])
def test_other_sites_are_refused(
    api: Api, client: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    client.send("13900000000", "一")
    response = api.call(method, path, headers=headers)
    assert response.status_code == 403
    assert "13900000000" not in response.text
    assert api.get("/messages")["total"] == 1


@pytest.mark.parametrize(
    "host",
    [None, "localhost:8080", "sandbox:8080", "[::1]:8080", "10.0.0.7", "host.docker.internal"],
)
def test_this_site_is_not_refused(api: Api, host: str | None) -> None:
    origin = api.origin if host is None else f"http://{host}"
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Host": origin[7:]}
    assert api.call("GET", "/messages", headers=headers).status_code == 200


def test_the_description_is_openapi_and_complete(api: Api) -> None:
    described = api.get("/openapi.json")
    validate(described)
    schema = described["components"]["schemas"]
    made = api.call("POST", "/faults", json={"kind": "error"}).json()
    own, any_fault = schema["Fault"]["allOf"]
    assert any_fault["discriminator"]["mapping"]["error"] == "#/components/schemas/ErrorFault"
    assert set(own["properties"]) | set(schema["ErrorFault"]["properties"]) == set(made)
    assert schema["NewFault"]["discriminator"]["mapping"].keys() == FAULT_TYPES.keys()
    assert {*schema["ErrorFault"]["properties"]} == made.keys() - {"id", "triggered", "exhausted"}
    operations = [each for path in described["paths"].values() for each in path.values()]
    names = {each["operationId"] for each in operations}  # of functions in generated clients
    assert len(names) == len(operations) == 12


def test_a_message_is_described_whole(api: Api, client: Client) -> None:
    client.send("13900000000", "一")
    (listed,) = api.get("/messages")["messages"]
    shown = api.get(f"/messages/{listed['number']}")
    schema = api.get("/openapi.json")["components"]["schemas"]["Message"]
    assert set(schema["properties"]) == set(shown)
    assert set(schema["required"]) == set(listed)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/messages", 405), ("PUT", "/faults", 405)],
)
def test_what_is_not_there(api: Api, method: str, path: str, status: int) -> None:
    assert api.call(method, path).status_code == status


@pytest.mark.parametrize("path", ["/", "/inbox.js", "/inbox.css"])
def test_the_page_is_served_with_nothing_from_elsewhere(api: Api, path: str) -> None:
    response = requests.get(api.origin + path, timeout=20)
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "http://" not in response.text
    assert "https://" not in response.text
    assert requests.post(api.origin + path, timeout=20).status_code == 405


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x", 1), ("您" * 70, 1), ("您" * 71, 2), ("您" * 134, 2), ("您" * 135, 3), ("😀" * 36, 2)],
)
def test_the_estimate_of_segments(text: str, expected: int) -> None:
    assert segments(text) == expected
