"""The README is short and true, and says the same in English and in Chinese.

`test_docs` runs its code blocks, as those of every page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import suds.client
import zeep

from tests.support.doc_pages import READMES, TOP, find_block, read_blocks
from tests.support.nested_pytest import run_pytest
from tests.support.scripted_server import ScriptedServer, reply_with
from tests.support.wire_samples import XML, http_response
from yunxin_soap import Client
from yunxin_soap.sandbox import Sandbox

ENGLISH, CHINESE = READMES
FIELDS = {
    "userCode": "demo",
    "userPass": "demo",
    "DesNo": "13900000000",
    "Msg": "您好【签名】",
    "Channel": "37",
    "ExeNo": "",
}
Call = Callable[[], object]


def prose(path: Path) -> str:
    """Return a README without its code blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def tables(path: Path) -> list[list[list[str]]]:
    """Return the cells of each table."""
    found = re.findall(r"(?:^\|.*\|\n)+", prose(path), re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        for table in found
    ]


def links(path: Path) -> list[str]:
    """Return the addresses of all links and pictures, in their order."""
    return re.findall(r'(?<=\]\()[^)]+|(?<=src=")[^"]+', prose(path))


@pytest.mark.parametrize("path", READMES, ids=["en", "zh"])
def test_readme_is_short(path: Path) -> None:
    """A README has at most 150 lines, and the English one at most 1,200 words."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1200


@pytest.mark.parametrize("path", READMES, ids=["en", "zh"])
def test_readme_first_sh_blocks_are_the_two_commands(path: Path) -> None:
    """The two commands of a new clone are the first sh blocks, of one line each."""
    first, second, *_ = (block.code for block in read_blocks(path) if block.language == "sh")
    assert first.count("\n") == second.count("\n") == 1
    assert "send --sandbox" in first
    assert second.endswith("pytest -n auto\n")


@pytest.mark.parametrize("path", READMES, ids=["en", "zh"])
def test_readme_links_lead_to_files(path: Path) -> None:
    """Every link and picture is a file of the repository."""
    assert [link for link in links(path) if not (TOP / link).is_file()] == []


def test_readmes_have_the_same_structure() -> None:
    """Both have the same headings' levels, code, links, tables and names in code font."""
    assert [re.findall(r"^#+(?= )", prose(path), re.MULTILINE) for path in READMES] == [
        ["#", *["##"] * 6]
    ] * 2
    english, chinese = (
        [
            (each.language, re.sub(r"  # .*", "", each.code), each.marks)
            for each in read_blocks(path)
        ]
        for path in READMES
    )
    assert chinese == english
    pictures = ("inbox.png", "progress.svg", "report.png")
    swapped = {CHINESE.name: ENGLISH.name} | {
        f"docs/{each}": f"docs/{each.replace('.', '.zh-CN.')}" for each in pictures
    }
    assert links(CHINESE) == [swapped.get(link, link) for link in links(ENGLISH)]
    for table, translated in zip(tables(ENGLISH), tables(CHINESE), strict=True):
        for row, other in zip(table, translated, strict=True):
            for cell, meant in zip(row, other, strict=True):
                assert re.findall("`.+?`", meant) == re.findall("`.+?`", cell)
    names = [sorted(set(re.findall("`.+?`", prose(path)))) for path in READMES]
    assert names[0] == names[1]


def test_readme_test_passes(tmp_path: Path) -> None:
    """The example of a test passes under pytest with the plugin's fixtures."""
    (tmp_path / "test_codes.py").write_text(find_block(ENGLISH, "# test_codes.py"), "utf-8")
    assert "1 passed" in run_pytest(tmp_path, "-p", "no:cacheprovider")


class Clients:
    """The clients of the comparison, in the order of its columns.

    Args:
        stack: closes what they open.
        sandbox: the gateway whose WSDL they read.
    """

    def __init__(self, stack: ExitStack, sandbox: Sandbox) -> None:
        self._stack, self.sandbox = stack, sandbox
        self.zeep = zeep.Client(f"{sandbox.url}?WSDL")
        stack.callback(self.zeep.transport.session.close)
        self.suds = suds.client.Client(f"{sandbox.url}?WSDL", cache=None)

    def at(self, url: str) -> list[Call]:
        """Return what sends one message to an address with each client."""
        service = self.zeep.create_service("{http://tempuri.org/}MsgSendSoap", url)
        self.suds.set_options(location=url)
        ours = self._stack.enter_context(
            Client("demo", "demo", channel="37", endpoint=url, retries=0)
        )
        return [
            lambda: requests.post(f"{url}/sendMesExt", data=FIELDS, timeout=10).text,
            lambda: service.sendMesExt(**FIELDS),
            lambda: self.suds.service.sendMesExt(**FIELDS),
            lambda: ours.send(FIELDS["DesNo"], FIELDS["Msg"]),
        ]


def ending(call: Call) -> str:
    """Return how a call ended, as the comparison writes it."""
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - each client has its own errors
        return f"`{type(error).__name__}`"
    if isinstance(result, str) and "<" in result:
        return "HTML" if "<html" in result else "XML"
    return f"`{None if result is None else str(result)!r}`"


@pytest.fixture
def clients(sandbox: Sandbox) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(stack, sandbox)


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """A server that is not the gateway, and accepts whatever is posted."""
    with ScriptedServer(reply_with(http_response("<x/>"), then_close=True)) as server:
        yield server


def row(number: int) -> list[str]:
    """Return the cells of the comparison's row, without what happens."""
    (table,) = (each for each in tables(ENGLISH) if "zeep" in each[0])
    return table[1 + number][1:]


def assert_row(number: int, calls: list[Call]) -> None:
    """Check that each client ends as the row of the comparison says."""
    for cell, call in zip(row(number), calls, strict=True):
        assert ending(call) in cell


def test_comparison_not_reached(clients: Clients) -> None:
    """Nobody listens: three clients raise what they raise after a lost response, too, or alike."""
    with ScriptedServer(reply_with(b""), listening=False) as nobody:
        assert_row(1, clients.at(nobody.url))


@pytest.mark.parametrize(
    ("number", "kind", "options", "times_accepted"),
    [(2, "close", {}, 4), (3, "code", {"code": -7}, 0), (5, "html", {"status": 502}, 4)],
)
def test_comparison_faults(
    clients: Clients, number: int, kind: Any, options: dict[str, Any], times_accepted: int
) -> None:
    """A lost response, a rejection, a proxy's page: each client ends as the table says."""
    clients.sandbox.inject_fault(kind, times=None, **options)
    assert_row(number, clients.at(clients.sandbox.url))
    assert clients.sandbox.times_accepted(FIELDS["DesNo"]) == times_accepted


def test_comparison_empty_result(clients: Clients) -> None:
    """A response without a result is no error for three of the clients."""
    empty = http_response(
        '<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/">'
        '<e:Body><sendMesExtResponse xmlns="http://tempuri.org/"/></e:Body></e:Envelope>'
    )
    with ScriptedServer(reply_with(empty, then_close=True)) as server:
        assert_row(4, clients.at(server.url))


def test_comparison_redirect(clients: Clients, other: ScriptedServer) -> None:
    """Two of the clients post the password to the host that a redirect names."""
    redirect = http_response("", "307 Temporary Redirect", XML, f"Location: {other.url}")
    with ScriptedServer(reply_with(redirect, then_close=True)) as server:
        assert_posted(6, clients.at(server.url), other)


def test_comparison_environment_proxy(
    clients: Clients, other: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of the clients post the password to the proxy that the environment names."""
    with ScriptedServer(reply_with(b""), listening=False) as nobody:
        # suds and this client reach nobody; the others reach the proxy.
        monkeypatch.setenv("http_proxy", other.origin)
        monkeypatch.setenv("no_proxy", "")
        assert_posted(7, clients.at(nobody.url), other)


def assert_posted(number: int, calls: list[Call], server: ScriptedServer) -> None:
    """Check which clients post the password to a server."""
    for cell, call in zip(row(number), calls, strict=True):
        before = len(server.requests)
        how = ending(call)
        posted = any(b"demo" in request.body for request in server.requests[before:])
        assert posted == (cell == "posts the password there")
        assert posted or how in cell or "ignored" in cell


def test_comparison_timeouts(clients: Clients) -> None:
    """Two of the clients wait for ever, unless told otherwise."""
    assert inspect.signature(requests.Session.request).parameters["timeout"].default is None
    assert clients.zeep.transport.operation_timeout is None
    assert f"{clients.suds.options.timeout} s" == row(8)[2]
    assert f"{inspect.signature(Client).parameters['timeout'].default:g} s" in row(8)[3]
