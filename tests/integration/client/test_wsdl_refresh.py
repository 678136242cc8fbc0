"""Refresh the WSDL and roll it back: whatever interrupts it, a complete file stays in use."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted_server import (
    Connection,
    ScriptedServer,
    proxy_url,
    read_then_close,
    read_then_hang,
    reply_with,
)
from tests.support.secret_detector import PROXY_USER, assert_no_secret, assert_no_secret_kept
from tests.support.wire_samples import http_response
from yunxin_soap import ConfigurationError, wsdl, wsdl_files
from yunxin_soap.wire import zeep_adapter

SHIPPED = wsdl.shipped_path().read_text("utf-8")
NOT_ROOT = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 0)() == 0, reason="root may read and write everything"
)
PARTIAL = "MsgSend.wsdl.0123456789abcdef.part"


def version(number: int) -> str:
    """Return a WSDL that fits, and that differs from other versions."""
    return f"{SHIPPED}<!-- {number} -->"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory."""
    path = tmp_path / "cache"
    path.mkdir()
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(path))
    return path


def refresh(content: str, **options: Any) -> Path:
    with ScriptedServer(reply_with(http_response(content))) as server:
        return wsdl.refresh(server.url, **options)


def files(cache: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in cache.iterdir()}


# --- what is kept


def test_refresh_keeps_the_previous_copy_and_rollback_brings_it_back(cache: Path) -> None:
    """Each rollback goes one step back, and the last to the shipped WSDL."""
    refresh(version(1))
    assert files(cache) == {"MsgSend.wsdl": version(1)}
    refresh(version(2))
    assert files(cache) == {"MsgSend.wsdl": version(2), "MsgSend.wsdl.previous": version(1)}
    assert wsdl.rollback().read_text("utf-8") == version(1)
    assert files(cache) == {"MsgSend.wsdl": version(1)}
    assert wsdl.rollback() == wsdl.shipped_path()
    assert files(cache) == {}
    with pytest.raises(ConfigurationError, match="nothing to roll back"):
        wsdl.rollback()


def test_refresh_into_a_folder_below_home_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable may begin with ``~``, which only a shell expands."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", "~/below")
    monkeypatch.chdir(tmp_path)
    assert refresh(version(1)) == tmp_path / "below" / "MsgSend.wsdl"
    assert wsdl.load().content == version(1).encode()


def test_refresh_without_a_change_keeps_the_previous_copy(cache: Path) -> None:
    """A refresh every night does not forget the copy that differs."""
    for number in (1, 2, 2):
        refresh(version(number))
    assert files(cache)["MsgSend.wsdl.previous"] == version(1)


@pytest.mark.parametrize("broken", ["", "<broken/>", SHIPPED.replace("DesNo", "Mobile")])
def test_refresh_of_a_broken_copy_does_not_keep_it(cache: Path, broken: str) -> None:
    """What does not fit is not kept as the previous copy."""
    (cache / "MsgSend.wsdl.previous").write_text(version(1), "utf-8")
    (cache / "MsgSend.wsdl").write_text(broken, "utf-8")
    refresh(version(2))
    assert files(cache) == {"MsgSend.wsdl": version(2), "MsgSend.wsdl.previous": version(1)}


def test_rollback_to_a_broken_copy_changes_nothing(cache: Path) -> None:
    """A previous copy that was damaged is named, and the one in use stays."""
    refresh(version(1))
    (cache / "MsgSend.wsdl.previous").write_text("<broken/>")
    with pytest.raises(ConfigurationError, match=r"MsgSend\.wsdl\.previous cannot be loaded"):
        wsdl.rollback()
    assert files(cache)["MsgSend.wsdl"] == version(1)


def test_refresh_takes_effect_for_later_clients_in_the_same_process() -> None:
    """`load` reads the file anew if it changed, and only then."""
    first = wsdl.load()
    refresh(version(1))
    second = wsdl.load()
    assert (second.content, second is first) == (version(1).encode(), False)
    refresh(version(2))
    third = wsdl.load()
    assert third.content == version(2).encode()
    assert wsdl.load() is third


def test_partial_files_are_not_loaded_and_old_ones_are_removed(cache: Path) -> None:
    """What a killed process left is never loaded; after an hour, a refresh removes it."""
    old, young = cache / PARTIAL, cache / PARTIAL.replace("0", "1")
    for path in (old, young):
        path.write_text("<half")
    os.utime(old, (0, 0))
    assert wsdl.find() == wsdl.shipped_path()
    refresh(version(1))
    assert sorted(files(cache)) == ["MsgSend.wsdl", young.name]


def test_refresh_makes_a_file_that_others_may_read(cache: Path) -> None:
    """The permissions are those of the process's umask: a WSDL holds no secret."""
    umask = os.umask(0o022)
    try:
        refresh(version(1))
    finally:
        os.umask(umask)
    assert (cache / "MsgSend.wsdl").stat().st_mode & 0o777 == 0o644


# --- interruptions


FAILING_CALLS: dict[str, tuple[Any, str]] = {
    "fsync": (os, "fsync"),
    "rename": (Path, "replace"),
    "create": (Path, "open"),
}


@pytest.mark.parametrize("name", FAILING_CALLS)
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    "kind", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_refresh_interrupted_at_any_step_keeps_a_good_file(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int, kind: BaseException
) -> None:
    """A full disk and Ctrl-C leave the copy in use, and no partial file."""
    for number in (1, 2):
        refresh(version(number))
    owner, attribute = FAILING_CALLS[name]
    original = getattr(owner, attribute)
    counted = 0

    def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal counted
        if name != "create" or args[1:] == ("xb",):
            counted += 1
            if counted == at:
                raise kind
        return original(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(owner, attribute, failing)
        with pytest.raises((ConfigurationError, KeyboardInterrupt)):
            refresh(version(3))
    assert counted == at
    kept = files(cache)
    assert kept.pop("MsgSend.wsdl.previous") in (version(1), version(2))
    assert kept == {"MsgSend.wsdl": version(2)}


def test_refresh_onto_a_full_disk_says_so(cache: Path) -> None:
    """The error of a real limit names the directory, and what to do."""
    refresh(version(1))
    script = (
        "import resource, signal, sys\n"
        "from yunxin_soap import ConfigurationError, wsdl\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "live = wsdl.fetch(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: wsdl.refresh(sys.argv[1])\n"
        "except ConfigurationError as error: sys.stdout.write(str(error))\n"
    )
    with ScriptedServer(reply_with(http_response(version(2)))) as server:
        done = subprocess.run(
            [sys.executable, "-B", "-c", script, server.url], capture_output=True, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"could not be written to {cache / 'MsgSend.wsdl'} (File too large)" in done.stdout
    assert "YUNXIN_WSDL_CACHE" in done.stdout
    assert files(cache) == {"MsgSend.wsdl": version(1)}


@NOT_ROOT
def test_refresh_without_permission_says_so(cache: Path) -> None:
    """The error names the directory, and the WSDL in use stays."""
    refresh(version(1))
    cache.chmod(0o500)
    try:
        with pytest.raises(ConfigurationError, match="Permission denied"):
            refresh(version(2))
        with pytest.raises(ConfigurationError, match="Permission denied"):
            wsdl.rollback()
    finally:
        cache.chmod(0o700)
    assert files(cache) == {"MsgSend.wsdl": version(1)}


def test_refreshes_and_rollbacks_at_once_leave_a_good_file(cache: Path) -> None:
    """Processes that refresh, roll back and are killed never show a broken file to a reader."""
    script = (
        "import sys\n"
        "from yunxin_soap import ConfigurationError, wsdl\n"
        "sys.stdout.write('ready'); sys.stdout.flush()\n"
        "while True:\n"
        "    wsdl.refresh(sys.argv[1])\n"
        "    try: wsdl.rollback()\n"
        "    except ConfigurationError as error: assert 'nothing to roll' in str(error), error\n"
    )
    contents = [version(number) for number in range(3)]
    with ScriptedServer(reply_with(*map(http_response, contents), then_close=False)) as server:
        for _ in range(4):
            workers = [
                subprocess.Popen([sys.executable, "-c", script, server.url], stdout=subprocess.PIPE)
                for _ in range(2)
            ]
            for worker in workers:
                assert worker.stdout is not None
                worker.stdout.read(5)
            before = len(server.requests)
            server.wait_for_requests(before + 6)
            for _ in range(20):
                content = wsdl.load().content.decode()
                assert content in (SHIPPED, *contents)
            for worker in workers:
                assert worker.poll() is None
                worker.send_signal(signal.SIGKILL)
                worker.communicate()
            for name, content in files(cache).items():
                assert content in contents or name.endswith(".part")


# --- fetching


def failing(run: Callable[[], object], reason: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        run()
    assert "SMS" not in str(caught.value)
    assert_no_secret(str(caught.value), repr(caught.value))
    assert_no_secret_kept(caught.value)
    return caught.value


def test_fetch_goes_through_the_proxy() -> None:
    """The proxy gets the address of the page, and its own password."""
    with ScriptedServer(reply_with(http_response(SHIPPED))) as server:
        live = wsdl.fetch(
            "http://sms.example/api/MsgSend.asmx", proxy=proxy_url(server, PROXY_USER)
        )
    assert live.location == "http://sms.example/api/MsgSend.asmx?WSDL"
    (request,) = server.requests
    assert request.target == "http://sms.example/api/MsgSend.asmx?WSDL"
    assert request.headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (http_response(PROXY_USER, "407 Proxy Authentication Required"), "HTTP status 407"),
        (http_response(PROXY_USER, "502 Bad Gateway"), "HTTP status 502"),
        (PROXY_USER.encode(), "not valid HTTP|cut short|closed"),
        (http_response(f"<a>{PROXY_USER}</a>"), "its root element is a"),
    ],
)
def test_fetch_through_a_proxy_that_echoes_shows_no_password(response: bytes, reason: str) -> None:
    """No error shows the password of the proxy, whatever the proxy says."""
    with ScriptedServer(reply_with(response, then_close=True)) as server:
        proxy = proxy_url(server, PROXY_USER)
        failing(lambda: wsdl.fetch("http://sms.example/x", proxy=proxy), reason)
        failing(lambda: wsdl.refresh("http://sms.example/x", proxy=proxy), reason)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"endpoint": "ftp://sms.example/x"}, "must start with http"),
        ({"endpoint": "http://sms.example/x?y=1"}, "has a query"),
        ({"endpoint": f"http://{PROXY_USER}@sms.example/x"}, "contains a user name"),
        ({"timeout": 0}, "timeout=0 must be"),
        ({"timeout": "5"}, "timeout='5' must be"),
        ({"proxy": f"socks5://{PROXY_USER}@proxy:1"}, "only http and https"),
        ({"verify": "/nowhere.pem"}, "verify='/nowhere.pem'"),
    ],
)
def test_fetch_with_a_wrong_argument_names_it(arguments: dict[str, Any], reason: str) -> None:
    """The arguments have the rules of a client's."""
    given = {"endpoint": "https://sms.example/x", **arguments}
    failing(lambda: wsdl.fetch(**given), reason)
    failing(lambda: wsdl.refresh(**given), reason)


def test_fetch_that_fails_says_why() -> None:
    """Each error names the cause; it is not about a submission."""
    with ScriptedServer(read_then_close) as server:
        failing(lambda: wsdl.fetch(server.url), "closed before a response")
    with ScriptedServer(read_then_hang) as server:
        failing(
            lambda: wsdl.fetch(server.url, timeout=0.5), r"within 0\.25 s \(timeout=0\.5 includes"
        )
    failing(lambda: wsdl.fetch("http://127.0.0.1:1/x"), "Connection refused")
    failing(lambda: wsdl.fetch("http://absent.invalid/x"), "cannot be resolved")
    with ScriptedServer(
        reply_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n")
    ) as server:
        failing(lambda: wsdl.fetch(server.url), "has more than 1048576 bytes")
    with ScriptedServer(reply_with(http_response(f"<!--{'x' * (1 << 20)}-->"))) as server:
        failing(lambda: wsdl.fetch(server.url), "more than 1048576 bytes")


def test_fetch_of_an_address_with_wsdl_appends_nothing() -> None:
    """The address may be that of the WSDL, in any case."""
    with ScriptedServer(reply_with(http_response(SHIPPED))) as server:
        for query in ("", "?WSDL", "?wsdl"):
            wsdl.fetch(f"{server.url}{query}")
    assert {request.target for request in server.requests} == {"/api/MsgSend.asmx?WSDL"}


# --- named and cached files


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a/" * 3000, "a\x00b", "~nobody-of-this-name/x", "\ud800", "", "."]
)
def test_find_name_that_is_no_file_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """No name ends in another error, not even one that the system cannot have."""
    with pytest.raises(ConfigurationError, match="no WSDL file at"):
        wsdl.find(name)
    if "\x00" not in name and "\ud800" not in name and name:
        monkeypatch.setenv("YUNXIN_WSDL_CACHE", name)
        assert wsdl.find() == wsdl.shipped_path()


def test_find_bytes_path_is_found(tmp_path: Path) -> None:
    """A path may be an `os.PathLike` of bytes."""

    class Name:
        def __fspath__(self) -> bytes:
            return os.fsencode(tmp_path / "x.wsdl")

    (tmp_path / "x.wsdl").write_text(SHIPPED, "utf-8")
    name: Any = Name()
    assert wsdl.load(name).content == SHIPPED.encode()


def test_load_of_a_large_file_reads_no_more_than_a_mebibyte(cache: Path) -> None:
    """A cached or a named file has the limit of a fetched one."""
    large = cache / "MsgSend.wsdl"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    for path in (None, large):
        with pytest.raises(ConfigurationError, match="has more than 1048576 bytes"):
            wsdl.load(path)


def test_load_of_a_broken_file_advises_to_delete_only_a_cached_one(
    cache: Path, tmp_path: Path
) -> None:
    """A file that the caller named is not ours to delete."""
    (cache / "MsgSend.wsdl").write_text("<broken/>")
    (tmp_path / "mine.wsdl").write_text("<broken/>")
    with pytest.raises(ConfigurationError, match=r"\): delete it, or refresh the WSDL\.$"):
        wsdl.load()
    with pytest.raises(ConfigurationError, match=r"\): name another file\.$"):
        wsdl.load(tmp_path / "mine.wsdl")
    with pytest.raises(ConfigurationError, match=r"\): check the address\.$"):
        zeep_adapter.parse(b"<broken/>", "http://sms.example/x?WSDL")


@NOT_ROOT
def test_load_of_an_unreadable_file_says_so(tmp_path: Path) -> None:
    """The error names the reason."""
    path = tmp_path / "x.wsdl"
    path.write_text(SHIPPED)
    path.chmod(0)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        wsdl.load(path)


def test_load_while_a_rollback_removes_the_copy_finds_the_shipped_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that vanishes between finding and reading it is not missed."""
    refresh(version(1))
    read = wsdl_files.read

    def read_after_rollback(path: Path) -> bytes | None:
        (cache / "MsgSend.wsdl").unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr(wsdl_files, "read", read_after_rollback)
    assert wsdl.load().location == str(wsdl.shipped_path())
    with pytest.raises(ConfigurationError, match="no WSDL file at"):
        wsdl.load(refresh(version(1)))


# --- comparing


def parse(content: str, location: str) -> wsdl.Wsdl:
    return zeep_adapter.parse(content.encode(), location)


@pytest.mark.parametrize(
    ("change", "lines", "affected"),
    [
        (lambda text: text, [], []),
        (lambda text: text.replace("112.124.24.5", "127.0.0.1"), [], []),
        (lambda text: text.replace("<s:sequence>", "<!-- x -->\n<s:sequence>"), [], []),
        (
            lambda text: text.replace('nillable="true" ', ""),
            ["http-get, http-post: sendMesExt: nillable of the response element is missing"],
            [],
        ),
        (
            lambda text: text.replace('soapAction="http://tempuri.org/send', 'soapAction="urn:'),
            [
                "soap, soap12: sendMesExt: the soapAction is urn:MesExt, not"
                " http://tempuri.org/sendMesExt"
            ],
            ["soap", "soap12"],
        ),
        (
            lambda text: text.replace(
                "</s:schema>",
                '<s:simpleType name="T"><s:restriction'
                ' base="s:string" /></s:simpleType></s:schema>',
            ),
            ["the type {http://tempuri.org/}T is new"],
            [],
        ),
        (
            lambda text: text.replace('<http:binding verb="GET" />', ""),
            ["http-get: the port is gone"],
            ["http-get"],
        ),
    ],
)
def test_compare_says_in_words_what_differs(
    change: Callable[[str], str], lines: list[str], affected: list[str]
) -> None:
    """Addresses and comments are no difference."""
    found = wsdl.compare(parse(SHIPPED, "used"), parse(change(SHIPPED), "live"))
    assert list(found.lines) == lines
    assert list(found.misfits) == affected


def test_compare_shows_no_control_character() -> None:
    """A live WSDL cannot write escape sequences to a terminal."""
    escape = "\x9b2J"
    live = SHIPPED.replace('location="/sendMesExt"', f'location="{escape}"').replace(
        "</s:schema>",
        f'<s:simpleType name="T"><s:restriction base="s:{escape}" /></s:simpleType></s:schema>',
    )
    with pytest.raises(ConfigurationError) as caught:
        parse(live, "live")
    assert str(caught.value).isprintable()
    live = SHIPPED.replace('location="/sendMesExt"', f'location="{escape * 1000}"')
    found = wsdl.compare(parse(SHIPPED, "used"), parse(live, "live"))
    for text in (*found.lines, *found.misfits.values()):
        assert text.isprintable()
        assert len(text) <= 1001


def test_fetch_of_a_slow_response_ends_in_time() -> None:
    """The timeout is one for the whole document, however often a byte comes."""

    def drip(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not connection.ended.wait(0.01):
            connection.send(b"x")

    with ScriptedServer(drip) as server:
        failing(
            lambda: wsdl.fetch(server.url, timeout=0.5), r"within 0\.25 s \(timeout=0\.5 includes"
        )


def test_replace_cached_creates_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory of the cache need not exist."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path / "a" / "b"))
    assert wsdl_files.replace_cached(b"x", None) == tmp_path / "a" / "b" / "MsgSend.wsdl"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<wsdl:types>", '<wsdl:import namespace="urn:x" location="http://h/{}" /><wsdl:types>'),
        ("<wsdl:types>", '<wsdl:types><s:schema><s:include schemaLocation="{}" /></s:schema>'),
        ('port name="MsgSendSoap"', 'port name="{}"'),
    ],
)
def test_names_and_addresses_of_a_wsdl_are_bounded_and_printable(old: str, new: str) -> None:
    """No word of a WSDL reaches a terminal as it is, neither in an error nor as a port."""
    content = SHIPPED.replace(old, new.format("\x9b2J" * 5000), 1)
    try:
        ports = zeep_adapter.list_ports(zeep_adapter.parse(content.encode(), "x"))
        shown = [port.name for port in ports]
    except ConfigurationError as error:
        shown = [str(error)]
    for text in shown:
        assert text.isprintable()
        assert len(text) < 1200
