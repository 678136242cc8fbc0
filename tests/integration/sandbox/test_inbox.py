"""The inbox's REST API, and how its page is served."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from tests.support.raw_http import connected, exchange, written
from yunxin_soap import BalanceRejected, Client, NotSent, Submission
from yunxin_soap.message import count_segments
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.sandbox import Account, Channel, Config, Gateway, Sandbox
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.faults.injector import MAX_FAULTS
from yunxin_soap.sandbox.faults.model import FAULT_TYPES
from yunxin_soap.sandbox.inbox.api import MAX_LISTENERS
from yunxin_soap.sandbox.inbox.events import MAX_BEHIND
from yunxin_soap.sandbox.inbox.static_files import static_files

NUMBERS = "13900000000,13900000001"


class Api:
    """Calls the API of one sandbox, as a test in another language would."""

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
    """A sandbox for one test: a shared one may still receive requests of the test before."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    return Api(sandbox)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        yield client


def test_list_several_outcomes_returns_the_latest_first(
    api: Api, client: Client, sandbox: Sandbox
) -> None:
    """A list has accepted, rejected and malformed arrivals, without raw requests."""
    receipt = client.send(NUMBERS, "第一条")
    with pytest.raises(BalanceRejected):
        client.send("15499990007", "第二条")
    exchange(sandbox, written("GET", "/api/MsgSend.asmx/sendMesExt?Msg=x"))
    page = api.get("/arrivals")
    assert (page["found"], page["total"], page["dropped"]) == (3, 3, 0)
    assert (page["capacity"], page["last_id"]) == (10_000, 3)
    malformed, rejected, accepted = page["arrivals"]
    assert (malformed["outcome"], malformed["protocol"]) == ("malformed", None)
    assert (malformed["http_status"], malformed["result"]) == (500, "Missing parameter: userCode.")
    assert (rejected["outcome"], rejected["result"], rejected["code"]) == ("rejected", "-7", -7)
    assert (rejected["protocol"], rejected["http_status"]) == ("soap", 200)
    assert (rejected["description_zh"], rejected["description_en"]) == (
        "余额不足",
        "the balance is too low",
    )
    assert accepted["batch_no"] == receipt.batch_no
    assert accepted["recipients"] == NUMBERS.split(",")
    assert (accepted["length"], accepted["segments"]) == (7, 1)
    assert "request" not in accepted
    assert "userPass>***<" in api.get(f"/arrivals/{accepted['id']}")["request"]
    assert api.call("GET", "/arrivals/99").status_code == 404


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
        ({"after_id": 1}, ["c", "b"]),
        ({"before_id": 3}, ["b", "a"]),
        ({"before_id": 0}, []),
        ({"text": "demo"}, ["c", "b", "a"]),
        ({"q": "to:0000001 outcome:accepted"}, ["b"]),
        ({"q": 'A【 account:demo text:"a【签名】"', "utc_offset": 480}, ["a"]),
        ({"q": "before:2000-01-01"}, []),
    ],
)
def test_list_search_returns_the_matching_arrivals(
    api: Api, query: dict[str, Any], expected: list[str]
) -> None:
    """Each parameter limits the list, and the newest matching arrival comes first."""
    with Sandbox() as sandbox:
        with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
            for number, text in (("0", "a"), ("1", "b"), ("0", "c")):
                client.send(f"1390000000{number}", f"{text}【签名】")
        found = Api(sandbox).get("/arrivals", **query)["arrivals"]
        listed = Api(sandbox).get("/arrivals/ids", **query)
    assert [message["message"][0] for message in found] == expected
    assert listed["arrivals"] == found
    assert listed["ids"][: len(found)] == [message["id"] for message in found]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"kind": "delay", "seconds": 1, "text": "\\ud800"}', 422),
        (b'{"kind": "code", "code": "-\\ud800"}', 422),
        (b'{"kind": "\\ud800"}', 422),
        (b'{"kind": "error", "\\ud800": 1}', 422),
        (b'{"kind": "error", "self": 1, "fields": 2}', 422),
        (b'{"kind": "error", "times": 1e400}', 422),
        (b'{"kind": "code", "code": "-' + b"9" * 5000 + b'"}', 422),
        (b"[" * 60_000, 400),
        (b" " * 5_000_000, 413),
    ],
)
def test_add_fault_hostile_body_is_an_error(api: Api, body: bytes, status: int) -> None:
    """Surrogates, deep nesting and huge bodies are errors and inject nothing."""
    headers = {"Content-Type": "application/json"}
    assert api.call("POST", "/faults", data=body, headers=headers).status_code == status
    assert api.get("/faults") == []


@pytest.mark.parametrize("host", ["[", "[::1", "a]", "[x]", "[:::::]"])
def test_request_invalid_host_is_a_bad_request(sandbox: Sandbox, host: str) -> None:
    """A Host header that is no host is a 400, for the inbox and for the service."""
    for path in ("/api/v1/arrivals", "/api/MsgSend.asmx?op=sendMesExt"):
        answer = exchange(sandbox, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.status == 400


def test_request_wrong_method_names_the_allowed_ones(api: Api) -> None:
    """A 405 has an Allow header; the dot in a path is not a wildcard."""
    wrong = api.call("PUT", "/faults")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, POST, DELETE")
    assert api.call("GET", "/arrivalsXcsv").status_code == 404


def test_listeners_beyond_the_limit_get_503(sandbox: Sandbox, api: Api, client: Client) -> None:
    """Clients that follow or wait leave connections free for the service."""
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_LISTENERS):
            follower = stack.enter_context(connected(sandbox))
            follower.sendall(written("GET", "/api/v1/events"))
            assert follower.recv(15) == b"HTTP/1.1 200 OK"
        assert api.call("GET", "/events").status_code == 503
        assert api.call("GET", "/wait").status_code == 503
        assert client.send("13900000000", "一").batch_no


def test_clear_refuse_fault_opens_the_port(api: Api, client: Client, sandbox: Sandbox) -> None:
    """Clearing the sandbox opens a port that a fault has closed."""
    sandbox.inject_fault("refuse", seconds=600)
    with pytest.raises(NotSent):
        client.send("13900000000", "一")
    sandbox.clear()
    assert client.send("13900000000", "一").batch_no


def test_list_long_message_is_shortened(api: Api, client: Client) -> None:
    """Only lists shorten a message; details and downloads have all of it."""
    client.submit(Submission(("13900000000",), "字" * 19_996 + "【签名】", "37", ""))
    (listed,) = api.get("/arrivals")["arrivals"]
    assert (len(listed["message"]), listed["length"]) == (10_000, 20_000)
    assert len(api.get(f"/arrivals/{listed['id']}")["message"]) == 20_000
    assert len(api.get("/arrivals.json")[0]["message"]) == 20_000
    assert "字" * 19_996 in api.call("GET", "/arrivals.csv").content.decode()


def test_error_is_in_the_readers_language(api: Api) -> None:
    """The page asks for Chinese; other programs get English."""
    for language, expected in (
        ({"Accept-Language": "zh-CN"}, "查询：q 中有未知的结果：outcome: 之后请写 accepted"),
        ({"Accept-Language": "en"}, "query: q has an unknown outcome"),
        ({}, "query: q has an unknown outcome"),
    ):
        response = api.call("GET", "/arrivals", params={"q": "outcome:x"}, headers=language)
        assert response.status_code == 422
        assert response.json()["error"].startswith(expected)


def test_search_mistyped_parameter_is_an_error(api: Api, client: Client) -> None:
    """An unknown parameter is a 400 that lists the known ones."""
    client.send("13900000000", "一")
    for path in ("/arrivals", "/arrivals.csv", "/arrivals.json", "/wait"):
        response = api.call("GET", path, params={"recipients": "13900000001"})
        assert response.status_code == 400
        assert "'recipients'; the parameters here are after_id," in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/arrivals?recipient=13900000001"),
        ("DELETE", "/faults?numbers=1"),
        ("GET", "/arrivals/1?raw=1"),
        ("GET", "/numbers/13900000000?x="),
        ("GET", "/events?recipient=13900000001"),
        ("GET", "/arrivals?outcome=accepted&outcome=rejected"),
        ("GET", "/arrivals?limit=5&limit=x"),
    ],
)
def test_request_unknown_or_repeated_parameter_is_an_error(
    api: Api, client: Client, method: str, path: str
) -> None:
    """No operation ignores a parameter, and none has an effect then."""
    client.send("13900000000", "一")
    api.call("POST", "/faults", json={"kind": "error"})
    assert api.call(method, path).status_code == 400
    assert (api.get("/arrivals")["total"], len(api.get("/faults"))) == (1, 1)


@pytest.mark.parametrize(
    "query",
    [
        {"outcome": ""},
        {"outcome": "x"},
        {"limit": "x"},
        {"limit": 1001},
        {"after_id": -1},
        {"before_id": "1.5"},
        {"q": "recipient:1"},
        {"q": "code:x"},
        {"utc_offset": "x"},
    ],
)
def test_list_invalid_value_is_an_error(api: Api, query: dict[str, Any]) -> None:
    """An invalid value is a 422 that names the parameter."""
    response = api.call("GET", "/arrivals", params=query)
    assert response.status_code == 422
    assert next(iter(query)) in response.json()["error"]


def test_download_message_with_formula_is_escaped_in_csv_only(api: Api, client: Client) -> None:
    """Spreadsheets must run no formula and round no batch number; JSON is as it arrived."""
    receipt = client.send(NUMBERS, "=1+1\n")
    as_json = api.call("GET", "/arrivals.json")
    assert as_json.json()[0]["message"] == "=1+1\n【签名】"
    as_csv = api.call("GET", "/arrivals.csv")
    assert "attachment" in as_csv.headers["Content-Disposition"]
    (row,) = csv.DictReader(io.StringIO(as_csv.content.decode("utf-8-sig")))
    assert row["message"] == "'=1+1\n【签名】"  # no spreadsheet runs it
    assert row["batch_no"] == f"'{receipt.batch_no}"
    assert row["recipients"] == NUMBERS.replace(",", " ")
    assert row["arrival_id"] == str(as_json.json()[0]["id"])
    received_at = datetime.fromisoformat(as_json.json()[0]["received_at"])
    assert row["received_at_utc"] == f"{received_at:%Y-%m-%d %H:%M:%S.%f}"[:-3]


def test_wait_returns_the_first_match_or_404(api: Api, client: Client, sandbox: Sandbox) -> None:
    """Wait for a later arrival, find an earlier one, and time out."""
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
        {"error": "No matching arrival came within 0.1 s."},
    )
    for timeout in ("61", "1e3", "nan", "-1", "x"):
        assert api.call("GET", "/wait", params={"timeout": timeout}).status_code == 422
    for timeout in ("1e-3", "0.0001", "0"):
        assert (
            api.call("GET", "/wait", params={"text": "没有", "timeout": timeout}).status_code == 404
        )


def test_count_accepted_counts_until_cleared(api: Api, client: Client) -> None:
    """Each accepted submission counts once for each of its numbers."""
    client.send("13900000000", "一")
    client.send(NUMBERS, "二")
    assert api.get("/numbers/13900000000") == {"number": "13900000000", "accepted": 2}
    assert api.call("DELETE", "/arrivals").status_code == 200
    assert api.get("/numbers/13900000000")["accepted"] == 0
    assert api.get("/arrivals")["total"] == 0


@pytest.mark.parametrize("number", ["abc", "139000O0000", "1" * 21, "139 0000"])
def test_count_accepted_invalid_number_is_an_error(api: Api, number: str) -> None:
    """A mistyped number must not look like a number that was never accepted."""
    assert api.call("GET", f"/numbers/{number}").status_code == 422


def test_faults_added_by_rest_are_triggered_and_removed(api: Api, client: Client) -> None:
    """A fault is added, triggered, exhausted, removed; all faults are removed."""
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


def test_inbox_with_an_unread_fault_still_answers(api: Api, client: Client) -> None:
    """Faults that close connections unread do not lock people out of the inbox."""
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
def test_add_fault_invalid_body_is_an_error(api: Api, options: dict[str, Any], status: int) -> None:
    """Wrong JSON, types, kinds, options and values inject nothing."""
    if "json" in options:
        options = {
            "data": json.dumps(options["json"]),
            "headers": {"Content-Type": "application/json"},
        }
    response = api.call("POST", "/faults", **options)
    assert response.status_code == status
    assert response.json()["error"]
    assert api.get("/faults") == []


def test_add_fault_beyond_the_limit_is_an_error(sandbox: Sandbox, api: Api) -> None:
    """The number of active faults is limited."""
    for _ in range(MAX_FAULTS - 1):
        sandbox.inject_fault("error", times=None)
    assert api.call("POST", "/faults", json={"kind": "error"}).status_code == 201
    response = api.call("POST", "/faults", json={"kind": "error"})
    assert (response.status_code, response.json()["error"]) == (
        422,
        "1000 faults are active: remove some of them.",
    )


def test_events_report_arrivals_and_clearing(api: Api, client: Client) -> None:
    """Events come in order, each on lines of its own."""
    with requests.get(f"{api.origin}/api/v1/events", stream=True, timeout=20) as follows:
        assert follows.headers["Content-Type"] == "text/event-stream"
        lines = follows.iter_lines()
        assert next(lines) == b"retry: 1000"
        receipt = client.send("13900000000", "一\n<script>")
        api.call("DELETE", "/arrivals")
        said = [next(lines) for _ in range(6)]
    assert said[1] == b"event: arrival"
    assert json.loads(said[2].removeprefix(b"data: "))["batch_no"] == receipt.batch_no
    assert said[4:] == [b"event: cleared", b"data: {}"]


def test_events_report_changed_faults(api: Api, client: Client) -> None:
    """Adding and triggering a fault are events."""
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
    assert b"event: arrival" in said


def test_events_client_that_reads_nothing_is_disconnected(sandbox: Sandbox) -> None:
    """A client that is too far behind loses its connection, and its events use no memory."""
    with connected(sandbox) as idle:
        idle.sendall(written("GET", "/api/v1/events"))
        assert idle.recv(15) == b"HTTP/1.1 200 OK"
        for _ in range(2 * MAX_BEHIND):  # more than the buffers of a connection take
            sandbox.store.add(
                Arrival(
                    received_at=datetime.now(timezone.utc),
                    outcome=Outcome.REJECTED,
                    result="-5",
                    http_status=200,
                    remote="127.0.0.1",
                    message="字" * 10_000,
                )
            )
        received = 0
        with contextlib.suppress(ConnectionError):
            while piece := idle.recv(1 << 20):
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
@pytest.mark.parametrize(("method", "path"), [("GET", "/arrivals"), ("DELETE", "/arrivals")])
def test_request_from_another_site_is_rejected(
    api: Api, client: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    """Cross-site requests and DNS rebinding get a 403, see nothing and change nothing."""
    client.send("13900000000", "一")
    response = api.call(method, path, headers=headers)
    assert response.status_code == 403
    assert "13900000000" not in response.text
    assert api.get("/arrivals")["total"] == 1


@pytest.mark.parametrize(
    "host",
    [None, "localhost:8080", "sandbox:8080", "[::1]:8080", "10.0.0.7", "host.docker.internal"],
)
def test_request_from_this_site_is_answered(api: Api, host: str | None) -> None:
    """Local names, addresses and names without a dot are the sandbox's own."""
    origin = api.origin if host is None else f"http://{host}"
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Host": origin[7:]}
    assert api.call("GET", "/arrivals", headers=headers).status_code == 200


def test_configuration_lists_the_test_numbers(api: Api) -> None:
    """The page and other clients learn the test numbers; none if they are switched off."""
    ranges = api.get("/configuration")["test_numbers"]
    assert [(each["first"], each["last"]) for each in ranges] == [
        ("15499990001", "15499990099"),
        ("15499991000", "15499991000"),
        ("15499991001", "15499991001"),
    ]
    with Sandbox(Gateway(Config(test_numbers=False))) as without:
        assert Api(without).get("/configuration")["test_numbers"] == []


def test_configuration_names_an_account_to_try() -> None:
    """It is one that can send; no password is told but the demo account's, which all know."""
    gateway = Gateway()
    with Sandbox(gateway) as sandbox:
        api = Api(sandbox)

        def told() -> object:
            return api.get("/configuration")["sample_account"]

        assert told() == {"user_code": "demo", "user_pass": "demo", "channel": "37"}
        silent = Account("silent", "secret", channels=())
        gateway.accounts = [silent, Account("shop", "secret", channels=(Channel("42"),))]
        assert told() == {"user_code": "shop", "user_pass": None, "channel": "42"}
        gateway.accounts = [Account("demo", "changed")]
        assert told() == {"user_code": "demo", "user_pass": None, "channel": "37"}
        gateway.accounts = [silent]
        assert told() is None


def test_openapi_document_is_valid_and_complete(api: Api) -> None:
    """The document is valid OpenAPI and has every operation and every option."""
    described = api.get("/openapi.json")
    validate(described)
    schemas = described["components"]["schemas"]
    assert set(schemas["NewFault"]["discriminator"]["mapping"]) == set(FAULT_TYPES)
    for kind in FAULT_TYPES:
        options = {"seconds": 0.001} if kind in ("delay", "refuse") else {}
        made = api.call("POST", "/faults", json={"kind": kind, **options}).json()
        name = schemas["Fault"]["discriminator"]["mapping"][kind].rpartition("/")[2]
        assert set(schemas[name]["properties"]) == set(schemas[name]["required"]) == set(made)
        assert schemas[f"New{name}"]["required"] == ["kind"]
        own = set(made) - {"id", "triggered", "exhausted"}
        assert set(schemas[f"New{name}"]["properties"]) == own
    operations = [each for path in described["paths"].values() for each in path.values()]
    names = {each["operationId"] for each in operations}  # of functions in generated clients
    assert len(names) == len(operations) == 14


def test_whole_number_may_have_a_point(api: Api) -> None:
    """To JSON schema, and to JavaScript, 2.0 is an integer."""
    response = api.call(
        "POST",
        "/faults",
        data='{"kind": "delay", "seconds": 0.5, "times": 2.0}',
        headers={"Content-Type": "application/json"},
    )
    assert (response.status_code, response.json()["times"]) == (201, 2)


@pytest.mark.parametrize(
    ("fault", "valid"),
    [
        ({"kind": "delay", "seconds": 1}, True),
        ({"kind": "delay", "jitter": 0.5}, True),
        ({"kind": "delay"}, False),
        ({"kind": "delay", "seconds": 0}, False),
        ({"kind": "delay", "seconds": -1}, False),
        ({"kind": "delay", "seconds": 1, "when": "before"}, False),
        ({"kind": "refuse"}, False),
        ({"kind": "refuse", "seconds": 0.001}, True),
        ({"kind": "refuse", "seconds": 0.001, "numbers": ["1"]}, False),
        ({"kind": "trickle"}, True),
        ({"kind": "code", "code": "-6:促销"}, True),
        ({"kind": "code", "code": "7"}, False),
        ({"kind": "html", "status": 399}, False),
        ({"kind": "html", "code": "-7"}, False),
        ({"kind": "error", "probability": 0}, False),
        ({"kind": "error", "times": None, "protocol": None}, True),
        ({"kind": "error", "protocol": "smtp"}, False),
        ({"kind": "error", "x": 1}, False),
        ({"kind": "none"}, False),
        ({}, False),
    ],
)
def test_openapi_new_fault_agrees_with_the_api(
    api: Api, fault: dict[str, Any], valid: bool
) -> None:
    """A fault is valid by its schema if and only if the API accepts it."""
    document = api.get("/openapi.json")
    assert (
        OAS31Validator(
            {"$ref": "#/components/schemas/NewFault", "components": document["components"]}
        ).is_valid(fault)
        == valid
    )
    response = api.call("POST", "/faults", json=fault)
    assert response.status_code == (201 if valid else 422)


def test_openapi_responses_agree_with_their_schemas(api: Api, client: Client) -> None:
    """Every JSON response is valid by the schema of its operation and status."""
    client.send(NUMBERS, "一")
    with pytest.raises(BalanceRejected):
        client.send("15499990007", "二")
    fault = {"kind": "html", "status": 503, "numbers": ["1"]}
    requests_by_operation: list[tuple[str, str, str, Any]] = [
        ("GET", "/arrivals", "/arrivals?limit=1", None),
        ("GET", "/arrivals", "/arrivals?limit=x", None),
        ("GET", "/arrivals/ids", "/arrivals/ids?q=to:139", None),
        ("GET", "/arrivals/ids", "/arrivals/ids?q=x:1", None),
        ("GET", "/arrivals.json", "/arrivals.json", None),
        ("GET", "/configuration", "/configuration", None),
        ("GET", "/arrivals/{id}", "/arrivals/1", None),
        ("GET", "/arrivals/{id}", "/arrivals/9", None),
        ("GET", "/wait", "/wait?outcome=rejected", None),
        ("GET", "/wait", "/wait?text=x&timeout=0", None),
        ("GET", "/numbers/{number}", "/numbers/13900000000", None),
        ("GET", "/numbers/{number}", "/numbers/x", None),
        ("POST", "/faults", "/faults", fault),
        ("POST", "/faults", "/faults", {"kind": "x"}),
        ("GET", "/faults", "/faults", None),
        ("DELETE", "/faults/{id}", "/faults/1", None),
        ("DELETE", "/faults/{id}", "/faults/9", None),
        ("DELETE", "/faults", "/faults", None),
        ("DELETE", "/arrivals", "/arrivals", None),
    ]
    document = api.get("/openapi.json")
    for method, path, address, body in requests_by_operation:
        response = api.call(method, address, json=body)
        operation = document["paths"][f"/api/v1{path}"][method.lower()]
        described = operation["responses"][str(response.status_code)]
        if "$ref" in described:
            described = document["components"]["responses"]["Error"]
        schema = described["content"]["application/json"]["schema"]
        OAS31Validator({**schema, "components": document["components"]}).validate(response.json())


def test_openapi_arrival_has_all_fields(api: Api, client: Client) -> None:
    """The schemas of arrivals have exactly the fields that responses have."""
    client.send("13900000000", "一")
    (listed,) = api.get("/arrivals")["arrivals"]
    detail = api.get(f"/arrivals/{listed['id']}")
    schemas = api.get("/openapi.json")["components"]["schemas"]
    assert set(schemas["Arrival"]["properties"]) == set(listed)
    assert set(schemas["Arrival"]["required"]) == set(listed)
    assert set(schemas["ArrivalDetail"]["properties"]) == set(detail)
    assert set(schemas["ArrivalDetail"]["required"]) == set(detail)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/arrivals", 405),
        ("PUT", "/faults", 405),
        ("POST", "/openapi.json", 405),
    ],
)
def test_request_unknown_path_or_method_is_an_error(
    api: Api, method: str, path: str, status: int
) -> None:
    """Unknown paths are 404, wrong methods 405."""
    assert api.call(method, path).status_code == status


@pytest.mark.parametrize("path", ["/", *(f"/{address}" for address in static_files())])
def test_page_needs_nothing_from_other_sites(api: Api, path: str) -> None:
    """The page's files name no other site, and the policy forbids other sites."""
    response = requests.get(api.origin + path, timeout=20)
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "http://" not in response.text
    assert "https://" not in response.text
    # Below a path of a proxy, only relative addresses lead here.
    assert not re.search(
        r"""(?:href|src|from|import|fetch\(|Source\()\s*=?\s*["'`]/""", response.text
    )
    assert requests.post(api.origin + path, timeout=20).status_code == 405


def test_browser_keeps_the_files_of_the_page_until_they_change(api: Api) -> None:
    """Their addresses hold a digest of them; the page itself is not kept."""
    page = requests.get(f"{api.origin}/", timeout=20)
    assert page.headers["Cache-Control"] == "no-store"
    for address in static_files():
        assert address in page.text
        file = requests.get(f"{api.origin}/{address}", timeout=20)
        assert file.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    digest = next(iter(static_files())).split("/")[1]
    other = requests.get(f"{api.origin}/{address.replace(digest, '0' * 12)}", timeout=20)
    assert other.status_code == 404


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_counts_are_those_of_the_receipt(
    api: Api, sandbox: Sandbox, protocol: ProtocolName
) -> None:
    """The API counts segments, characters and numbers of a submission as its receipt does."""
    numbers: list[str | int] = ["13900000000", "+86 139 0000 0000", 13900000001]
    with Client(
        "demo", "demo", channel=37, signature="签名", endpoint=sandbox.url, protocol=protocol
    ) as sender:
        for text in (
            "长" * 67,
            "长" * 66,
            "x" + "😀" * 67,
            "a\r\nb\tc",
            "👨‍👩‍👧" * 9,
            "e\u0301" * 40,
        ):
            receipt = sender.send(numbers, text)
            (arrival,) = api.get("/arrivals", limit=1)["arrivals"]
            assert (
                arrival["segments"]
                == receipt.segments
                == Submission(receipt.recipients, receipt.message, "37", "").segments
            )
            assert arrival["length"] == receipt.length
            assert arrival["recipients"] == [*receipt.recipients]
    exchange(sandbox, written("GET", "/api/MsgSend.asmx/sendMesExt?Msg=x"))
    (malformed,) = api.get("/arrivals", limit=1)["arrivals"]
    assert (malformed["segments"], malformed["length"], count_segments("")) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x", 1), ("您" * 70, 1), ("您" * 71, 2), ("您" * 134, 2), ("您" * 135, 3), ("😀" * 36, 2)],
)
def test_segments_estimate_counts_utf16_units(text: str, expected: int) -> None:
    """A single part holds 70 UTF-16 units, each of several parts 67."""
    assert count_segments(text) == expected
