"""The command line: in-process with click's runner, and as a real process where that matters."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result
from requests.auth import HTTPBasicAuth

from tests.support.doc_pages import DOCS
from tests.support.ports import free_port
from tests.support.scripted_server import ScriptedServer, proxy_url, reply_with
from tests.support.wire_samples import http_response
from yunxin_soap import Client, RecipientsRejected, YunxinError, wsdl
from yunxin_soap._version import __version__
from yunxin_soap.cli import cli
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.extras import install_command
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.sandbox import Account, Sandbox
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
from yunxin_soap.sandbox.arrivals.store import ArrivalStore
from yunxin_soap.sandbox.faults.model import FAULT_TYPES, option_names
from yunxin_soap.sandbox.gateway import TEST_NUMBERS

TEXT = "您的验证码是1234【签名】"
DESCRIPTIONS = ("description_zh", "description_en")


def run(*arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin, env=env)


def send(sandbox: Sandbox, *arguments: str, stdin: str | None = None, **env: str) -> Result:
    settings = {
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        "YUNXIN_CHANNEL": "37",
        "YUNXIN_ENDPOINT": sandbox.url,
        **env,
    }
    return run("send", *arguments, stdin=stdin, env=settings)


def failed(result: Result, status: int) -> str:
    """Check that a command failed with one clear line and no traceback; return the line."""
    assert result.exit_code == status
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("yunxin-soap: ")
    return result.stderr


def test_send_accepted_prints_batch_number(sandbox: Sandbox) -> None:
    """Standard output has the batch number alone; standard error says what it is, in one line."""
    result = send(sandbox, "--to", "13900000000", "--message", TEXT)
    assert result.exit_code == 0
    assert result.stdout == f"{sandbox.inbox[0].batch_no}\n"
    assert result.stderr.count("\n") == 1
    assert f"{sandbox.url} accepted it: 1 number, 1 segment." in result.stderr
    assert send(sandbox, "--to", "13900000000", "--message", TEXT, "--quiet").stderr == ""


def test_send_to_embedded_sandbox_says_that_no_phone_got_it() -> None:
    """The first command of a new user explains its number, and what to try next."""
    result = run("send", "--sandbox", "--to", "13900000000", "--message", TEXT)
    assert re.fullmatch(r"\d{19}\n", result.stdout)
    assert "A sandbox accepted it: nothing was sent to a phone." in result.stderr
    assert "yunxin-soap sandbox" in result.stderr


def test_send_literal_sends_braces_as_they_are(sandbox: Sandbox) -> None:
    """The error about a placeholder names the option that sends it."""
    arguments = "--to", "13900000000", "--message", "disk ${HOME} is full【签名】"
    line = failed(send(sandbox, *arguments), 2)
    assert line.endswith("If it is no placeholder, say so: --literal.\n")
    assert send(sandbox, *arguments, "--literal").exit_code == 0
    assert sandbox.inbox[0].message == "disk ${HOME} is full【签名】"


def test_send_marketing_keeps_both_rules(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """An opt-out is wanted, and the hours; a text that only looks like marketing is noted."""
    to = "--to", "13900000000", "--message"
    line = failed(send(sandbox, *to, "全场五折【签名】", "--marketing"), 2)
    assert "marketing without an opt-out" in line
    noted = send(sandbox, *to, "全场五折【签名】")
    assert noted.exit_code == 0
    assert "Note: The message looks like marketing" in noted.stderr
    clock = [-3600.0]  # 07:00 in China
    monkeypatch.setattr("yunxin_soap.cli.send.wall_clock", lambda: clock[0])
    text = "全场五折，拒收请回复R【签名】"
    assert "it is 07:00 there" in failed(send(sandbox, *to, text, "--marketing"), 2)
    assert "Dry run" in send(sandbox, *to, text, "--marketing", "--dry-run").stdout
    clock[0] = 3600.0
    assert send(sandbox, *to, text, "--marketing").exit_code == 0
    assert [each.message for each in sandbox.inbox] == ["全场五折【签名】", text]


def test_send_embedded_sandbox_returns_batch_number() -> None:
    """--sandbox needs no account and no address."""
    result = run("send", "--sandbox", "--to", "13900000000", "--message", TEXT)
    assert result.exit_code == 0
    assert re.fullmatch(r"[0-9]{19}\n", result.stdout)


def test_send_embedded_sandbox_ignores_other_gateway(sandbox: Sandbox) -> None:
    """--sandbox ignores the environment's gateway, and excludes an address or account option."""
    result = send(sandbox, "--sandbox", "--to", "13900000000", "--message", TEXT)
    assert result.exit_code == 0
    assert sandbox.inbox == ()
    for option, value in (("--endpoint", sandbox.url), ("--user-code", "demo")):
        both = run("send", "--sandbox", option, value, "--to", "13900000000", "--message", TEXT)
        line = f"--sandbox and {option} exclude each other"
        assert line in failed(both, 2)


def test_send_numbers_from_options_file_and_stdin_are_joined(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Numbers come from --to, a file and standard input, without duplicates."""
    file = tmp_path / "numbers.txt"
    file.write_text("\ufeff13900000002\r\n\r\n13900000003, 139-0000-0004\n", "utf-8")
    first = send(
        sandbox,
        *("--to", "13900000000,13900000001", "--to", "13900000000"),
        *("--to-file", str(file), "--message", TEXT),
    )
    second = send(sandbox, "--to-file", "-", "--message", TEXT, stdin="13900000009\n")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert [each.recipients for each in sandbox.inbox] == [
        tuple(f"1390000000{digit}" for digit in range(5)),
        ("13900000009",),
    ]


def test_send_options_reach_gateway(sandbox: Sandbox) -> None:
    """Every option has its effect on the submission, and takes precedence over the environment."""
    sandbox.add_account(Account("cli", "from-env"))
    result = send(
        sandbox,
        *("--to", "13900000000", "--message", "x", "--signature", "命令行", "--channel", "37"),
        *("--extension", "8", "--user-code", "cli", "--protocol", "http-post", "--timeout", "5"),
        YUNXIN_USER_PASS="from-env",
        YUNXIN_CHANNEL="99",
    )
    assert result.exit_code == 0
    (submission,) = sandbox.inbox
    assert (submission.message, submission.extension) == ("x【命令行】", "8")
    assert (submission.user_code, submission.protocol) == ("cli", "http-post")


def test_send_password_file_first_line_is_password(sandbox: Sandbox, tmp_path: Path) -> None:
    """The first line of the file is the password, spaces included."""
    sandbox.add_account(Account("file", " s3cr3t "))
    file = tmp_path / "password"
    file.write_text(" s3cr3t \nsecond line\n")
    result = send(
        sandbox,
        *("--to", "13900000000", "--message", TEXT, "--user-code", "file"),
        *("--password-file", str(file)),
        YUNXIN_USER_PASS="not this",
    )
    assert result.exit_code == 0


def test_send_missing_password_exits_2(sandbox: Sandbox) -> None:
    """The error says how to give a password."""
    result = send(sandbox, "--to", "13900000000", "--message", TEXT, YUNXIN_USER_PASS="")
    assert "There is no password: set YUNXIN_USER_PASS" in failed(result, 2)


@pytest.mark.parametrize(
    ("name", "option"), [("USER_CODE", "--user-code"), ("CHANNEL", "--channel")]
)
def test_send_missing_setting_names_option(sandbox: Sandbox, name: str, option: str) -> None:
    """The error names the option of the missing setting."""
    result = send(sandbox, "--to", "13900000000", "--message", TEXT, **{f"YUNXIN_{name}": ""})
    assert option in failed(result, 2)


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"", "no password on its first line"), (b"\xc4\xe3\xff\n", "not UTF-8")],
)
def test_send_password_file_without_password_exits_2(
    sandbox: Sandbox, tmp_path: Path, content: bytes, line: str
) -> None:
    """An empty or undecodable first line is an error."""
    file = tmp_path / "password"
    file.write_bytes(content)
    arguments = ("--to", "13900000000", "--message", TEXT, "--password-file", str(file))
    assert line in failed(send(sandbox, *arguments), 2)


def test_send_password_file_byte_order_mark_is_removed(sandbox: Sandbox, tmp_path: Path) -> None:
    """A byte order mark is no part of the password."""
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbfdemo\r\n")
    arguments = ("--to", "13900000000", "--message", TEXT, "--password-file", str(file))
    assert send(sandbox, *arguments).exit_code == 0


def test_send_has_no_password_option() -> None:
    """No option takes the password itself: the process list would show it."""
    result = run("send", "--password", "x", "--to", "13900000000", "--message", TEXT)
    assert result.exit_code == 2
    names = [name for option in cli.commands["send"].params for name in option.opts]
    assert [name for name in names if "pass" in name] == ["--password-file"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--to", "1", "--message", TEXT], "Recipient 1, '1'"),
        (["--message", TEXT], "There is no recipient"),
        (["--to", "13900000000", "--message", "x"], "does not end in a signature"),
        (["--to", "13900000000", "--message", TEXT, "--channel", "x"], "channel"),
        (["--to", "13900000000", "--message", TEXT, "--protocol", "x"], "--protocol 'x'"),
        (["--to", "13900000000", "--message", TEXT, "--endpoint", "x"], "--endpoint 'x'"),
        (["--to", "13900000000", "--message", TEXT, "--timeout", "-1"], "--timeout -1.0"),
        (["--to", "13900000000", "--message", TEXT, "--extension", "x"], "extension"),
    ],
)
def test_send_invalid_request_exits_2(
    sandbox: Sandbox, arguments: Sequence[str], line: str
) -> None:
    """An invalid request is one line that names its cause, and nothing is sent."""
    assert line in failed(send(sandbox, *arguments), 2)
    assert sandbox.inbox == ()


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("YUNXIN_PROTOCOL", "x", "YUNXIN_PROTOCOL='x'"),
        ("YUNXIN_ENDPOINT", "x", "YUNXIN_ENDPOINT='x'"),
        ("YUNXIN_TIMEOUT", "0", "YUNXIN_TIMEOUT=0.0"),
        ("YUNXIN_PROXY", "socks5://proxy:1080", "YUNXIN_PROXY must"),
        ("YUNXIN_USER_PASS", "a\x01b", "The password contains"),
        ("YUNXIN_USER_CODE", "a\x01b", "YUNXIN_USER_CODE contains"),
        ("YUNXIN_CHANNEL", "x", "YUNXIN_CHANNEL must"),
        ("YUNXIN_EXTENSION", "x", "YUNXIN_EXTENSION must"),
        ("YUNXIN_SIGNATURE", "a】b", "YUNXIN_SIGNATURE 'a】b' contains"),
        ("YUNXIN_CHANNEL", '"37"', "YUNXIN_CHANNEL is in quotes,"),
        ("YUNXIN_USER_PASS", "'demo'", "YUNXIN_USER_PASS is in quotes,"),
    ],
)
def test_send_invalid_environment_names_variable(
    sandbox: Sandbox, variable: str, value: str, shown: str
) -> None:
    """An invalid setting of the environment is named by its variable."""
    line = failed(send(sandbox, "--to", "13900000000", "--message", TEXT, **{variable: value}), 2)
    assert line.startswith(f"yunxin-soap: {shown} ")


_SEND = ("send", "--to", "13900000000", "--message", TEXT)
_PLAN = ("campaign", "plan", "a", "--text", "-", "--message", TEXT, "--channel", "37")
_RUN = ("campaign", "run", "a")


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        (_SEND, "--user-code", "a\x01"),
        (_SEND, "--channel", "x"),
        (_SEND, "--extension", "x"),
        (_SEND, "--signature", ""),
        (_SEND, "--endpoint", "x"),
        (_SEND, "--endpoint", "http://u:p@h/"),
        (_SEND, "--protocol", "x"),
        (_SEND, "--timeout", "0"),
        (_SEND, "--proxy", "x"),
        (_SEND, "--proxy", "http://u:p@h"),
        (_PLAN, "--channel", "x"),
        (_PLAN, "--extension", "x"),
        (_PLAN, "--signature", "a】b"),
        (_PLAN, "--max-recipients", "0"),
        (_PLAN, "--price", "x"),
        (_RUN, "--concurrency", "0"),
        (_RUN, "--rate-limit", "0"),
        (_RUN, "--numbers-rate-limit", "-1"),
        (_RUN, "--sending-hours", "x"),
        (_RUN, "--timezone", "x"),
        (_RUN, "--failure-threshold", "0"),
        (_RUN, "--price", "0,1"),
        (_RUN, "--proxy", "socks5://h"),
        (_RUN, "--timeout", "nan"),
        (("campaign", "test", "a", "--to", "13900000000"), "--proxy", "x"),
        (("campaign", "pause", "a"), "--by", ""),
        (("campaign", "pause", "a"), "--reason", "\x01"),
        (("campaign", "resolve", "a", "--accepted"), "--batch-no", ""),
        (("campaign", "report", "a"), "--timezone", "x"),
        (("campaign", "status"), "--timezone", "x"),
        (("wsdl", "check"), "--url", "x"),
        (("wsdl", "check"), "--timeout", "0"),
    ],
)
def test_command_wrong_option_is_named(
    sandbox: Sandbox, tmp_path: Path, command: Sequence[str], option: str, value: str
) -> None:
    """An error about an option starts with it, and shows no argument of Python."""
    environment = {
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        "YUNXIN_CHANNEL": "37",
        "YUNXIN_ENDPOINT": sandbox.url,
        "YUNXIN_LEDGER": str(tmp_path / "ledger.sqlite"),
    }
    if command[0] == "campaign":
        assert run(*_PLAN, stdin="13900000000", env=environment).exit_code == 0
    line = failed(run(*command, option, value, stdin="13900000000", env=environment), 2)
    assert line.startswith(f"yunxin-soap: {option} ")
    assert not re.search(r"[a-z_]=", line)
    assert sandbox.arrivals == ()


def test_send_proxy_option_carries_the_request(sandbox: Sandbox) -> None:
    """--proxy takes precedence over YUNXIN_PROXY; one with a password is refused, unseen."""
    with ScriptedServer(reply_with(http_response("", "407 Proxy Authentication"))) as server:
        options = ("--to", "13900000000", "--message", TEXT, "--proxy", proxy_url(server))
        line = failed(send(sandbox, *options, YUNXIN_PROXY="http://127.0.0.1:9"), 3)
    assert "407" in line
    assert [each.target for each in server.requests] == [sandbox.url]
    secret = ("--to", "13900000000", "--message", TEXT, "--proxy", "http://u:s3cr3t@proxy:3128")
    line = failed(send(sandbox, *secret), 2)
    assert "set YUNXIN_PROXY instead" in line
    assert "s3cr3t" not in line
    assert sandbox.arrivals == ()


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("env", "encode", "cause"),
    [
        (C_LOCALE, "utf-8", "has characters that the encoding of the locale (ascii) does not have"),
        (C_LOCALE, "gbk", "has characters that the encoding of the locale (ascii) does not have"),
        ({"PYTHONUTF8": "1"}, "gbk", "is not UTF-8 text, as from a terminal in GBK"),
    ],
)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--message", TEXT), "--message"),
        ((f"--message={TEXT}",), "--message"),
        (("--message", "x", "--signature", "签名"), "--signature"),
        (("--dry-run", TEXT), "An argument"),
    ],
)
def test_send_text_in_another_encoding_names_the_cause(
    sandbox: Sandbox,
    env: dict[str, str],
    encode: str,
    cause: str,
    arguments: tuple[str, ...],
    named: str,
) -> None:
    """A text that was not decoded is one clear line before anything is sent."""
    encoded: Any = [each.encode(encode) for each in ("send", "--to", "13900000000", *arguments)]
    done = real(sandbox, *encoded, env=env, encoding="utf-8")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"yunxin-soap: {named} {cause}")
    assert done.stderr.count("\n") == 1
    assert sandbox.arrivals == ()


def test_send_variable_in_another_encoding_names_it(sandbox: Sandbox) -> None:
    """The signature may come from a job that runs in another locale."""
    env = {**C_LOCALE, "YUNXIN_SIGNATURE": "签名"}
    done = real(sandbox, "send", "--to", "13900000000", "--message", "x", env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("yunxin-soap: YUNXIN_SIGNATURE has characters that the encoding")
    assert sandbox.arrivals == ()


def test_send_file_name_in_another_encoding_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    """The name of a file may have any bytes; only texts must be decoded."""
    path = tmp_path / "名单.txt"
    path.write_text("13900000000")
    text = ("send", "--message", "hi【Sign】".encode().decode("ascii", "ignore"), "--dry-run")
    done = real(sandbox, *text, "--signature", "Sign", "--to-file", str(path), env=C_LOCALE)
    assert (done.returncode, done.stderr) == (0, "")


def test_send_missing_signature_names_option(sandbox: Sandbox) -> None:
    """The error for a text without a signature names the option, not the Python argument."""
    line = failed(send(sandbox, "--to", "13900000000", "--message", "x"), 2)
    assert "--signature, YUNXIN_SIGNATURE" in line
    assert "signature=" not in line


def test_send_timeout_exits_5(sandbox: Sandbox) -> None:
    """A response that does not come within --timeout leaves the outcome unknown."""
    with sandbox.inject_fault("hang"):
        arguments = ("--to", "13900000000", "--message", TEXT, "--timeout", "0.2")
        assert "0.2" in failed(send(sandbox, *arguments), 5)


def test_send_rejected_exits_3(sandbox: Sandbox) -> None:
    """A rejection shows the code with both texts."""
    line = failed(send(sandbox, "--to", "15499990007", "--message", TEXT), 3)
    assert "-7 余额不足" in line


def test_send_unreachable_gateway_exits_4(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that does not listen has received nothing."""
    monkeypatch.setattr("yunxin_soap.transport.retry.FIRST_DELAY", 0.0)
    url = f"http://127.0.0.1:{free_port()}/api/MsgSend.asmx"
    line = failed(send(sandbox, "--to", "13900000000", "--message", TEXT, "--endpoint", url), 4)
    assert "Nothing was sent" in line


def test_send_unknown_outcome_exits_5(sandbox: Sandbox) -> None:
    """A SOAP Server fault leaves the outcome unknown."""
    line = failed(send(sandbox, "--to", "15499991000", "--message", TEXT), 5)
    assert "unknown" in line


def test_send_interrupted_exits_5(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between request and response leaves the outcome unknown."""

    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    # A signal cannot be timed to the moment between request and response.
    monkeypatch.setattr(Client, "submit", interrupted)
    line = failed(send(sandbox, "--to", "13900000000", "--message", TEXT), 5)
    assert "unknown" in line


def test_send_help_lists_exit_statuses() -> None:
    """The help explains each exit status, and where the password comes from."""
    text = run("send", "--help").stdout
    for word in ("0  accepted", "3  rejected", "4  not sent", "5  unknown", "YUNXIN_USER_PASS"):
        assert word in text


@pytest.mark.parametrize(
    ("command", "statuses"),
    [
        (["codes"], "0 1 2 130"),
        (["sandbox"], "0 1 2"),
        (["wsdl", "show"], "0 1 2 130"),
        (["wsdl", "check"], "0 1 2 7 8 130"),
        (["campaign", "find"], "0 1 2 6 130"),
    ],
)
def test_help_lists_only_the_own_exit_statuses(command: list[str], statuses: str) -> None:
    """A command's help does not list an exit status that it never has."""
    text = run(*command, "--help").stdout.partition("Exit status:")[2]
    assert re.findall(r"^ {2,}(\d+)  \S", text, re.MULTILINE) == statuses.split()


def as_json(result: Result, status: int) -> dict[str, Any]:
    assert (result.exit_code, result.stderr) == (status, "")
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_send_json_describes_every_outcome(sandbox: Sandbox) -> None:
    """Each outcome is one JSON object on standard output."""
    common = ("--message", TEXT, "--json")
    accepted = as_json(send(sandbox, "--to", "13900000000", *common), 0)
    assert accepted == {
        "outcome": "accepted",
        "batch_no": sandbox.inbox[0].batch_no,
        "recipients": ["13900000000"],
        "message": TEXT,
        "channel": "37",
        "extension": "",
        "protocol": "soap",
    }
    request = {"endpoint": sandbox.url, "protocol": "soap", "recipients": 1, "channel": "37"}
    rejected = as_json(send(sandbox, "--to", "15499990006", *common), 3)
    described = {name: rejected.pop(name) for name in ("message", *DESCRIPTIONS)}
    assert rejected == {
        "type": "ContentRejected",
        "outcome": "rejected",
        "safe_to_resend": True,
        "retryable": False,
        "request": request,
        "code": -6,
        "category": "content",
        "keyword": "促销",
        "http_status": None,
        "temporary": False,
    }
    for name in DESCRIPTIONS:
        assert described[name] in described["message"]
    unknown = as_json(send(sandbox, "--to", "15499991000", *common), 5)
    message, excerpt = unknown.pop("message"), unknown.pop("excerpt")
    assert unknown == {
        "type": "OutcomeUnknown",
        "outcome": "unknown",
        "safe_to_resend": False,
        "retryable": False,
        "request": request,
        "http_status": 500,
    }
    assert "unknown" in message
    assert "Server was unable to process request" in excerpt
    invalid = as_json(send(sandbox, "--to", "1", *common), 2)
    assert (invalid["outcome"], invalid["type"]) == ("not_sent", "InvalidRequest")
    wrong = as_json(send(sandbox, "--to", "13900000000", *common, "--protocol", "x"), 2)
    assert wrong == {
        "type": "ConfigurationError",
        "message": "--protocol 'x' is not known: use one of soap, soap12, http-get, http-post.",
        "outcome": "not_sent",
        "safe_to_resend": True,
        "retryable": False,
    }


@pytest.mark.parametrize("number", ["15499990006", "15499990001", "15499991000", "1"])
def test_send_json_error_survives_from_dict(sandbox: Sandbox, number: str) -> None:
    """The JSON of a failed send is the error's own: Python code can rebuild it."""
    result = send(sandbox, "--to", number, "--message", TEXT, "--json")
    found = json.loads(result.stdout)
    error = YunxinError.from_dict(found)
    assert type(error).__name__ == found["type"]
    assert error.to_dict() == found


def test_send_json_unreachable_gateway_is_retryable(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission that was not sent may be sent again at once, and the JSON says so."""
    monkeypatch.setattr("yunxin_soap.transport.retry.FIRST_DELAY", 0.0)
    url = f"http://127.0.0.1:{free_port()}/api/MsgSend.asmx"
    arguments = ("--to", "13900000000", "--message", TEXT, "--endpoint", url, "--json")
    found = as_json(send(sandbox, *arguments), 4)
    assert (found["type"], found["outcome"]) == ("NotSent", "not_sent")
    assert (found["safe_to_resend"], found["retryable"]) == (True, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", "13900000000"],
        ["--to", "13900000000", "--message", TEXT, "--nonsense"],
        ["--to-file", "absent.txt", "--message", TEXT],
        ["--to", "13900000000", "--message", TEXT, "--timeout", "soon"],
    ],
)
def test_send_wrong_usage_exits_2(sandbox: Sandbox, arguments: Sequence[str]) -> None:
    """Wrong usage is one line, or one JSON object with --json."""
    failed(send(sandbox, *arguments), 2)
    found = as_json(send(sandbox, *arguments, "--json"), 2)
    assert (found["outcome"], found["type"]) == ("not_sent", "ConfigurationError")


def real(sandbox: Sandbox, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    environment = {
        **os.environ,
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        "YUNXIN_CHANNEL": "37",
        "YUNXIN_ENDPOINT": sandbox.url,
        **options.pop("env", {}),
    }
    command = [sys.executable, "-m", "yunxin_soap", *arguments]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.run(command, env=environment, **options)


@pytest.mark.parametrize("encoding", ["gbk", "cp437"])
def test_output_terminal_without_characters_is_escaped(sandbox: Sandbox, encoding: str) -> None:
    """A character outside the terminal's encoding is escaped, and the command succeeds."""
    env = {"PYTHONIOENCODING": encoding}
    arguments = ("send", "--to", "13900000000", "--message", "你好😀【签名】", "--json")
    done = real(sandbox, *arguments, env=env, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["message"] == "你好😀【签名】"
    codes = real(sandbox, "codes", "-5", env=env, encoding=encoding)
    assert (codes.returncode, codes.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_send_accepted_unprintable_exits_0(sandbox: Sandbox) -> None:
    """A full disk does not make an accepted SMS look like a failed one."""
    with Path("/dev/full").open("w") as full:
        done = real(sandbox, "send", "--to", "13900000000", "--message", TEXT, stdout=full)
    assert done.returncode == 0
    assert str(sandbox.inbox[0].batch_no) in done.stderr
    assert done.stderr.count("\n") == 1


def test_unknown_outcome_is_said_once(sandbox: Sandbox) -> None:
    """The library's log does not repeat, in English, what the command says."""
    done = real(
        sandbox, "--lang", "zh", "send", "--to", "15499991000", "--channel=37", f"--message={TEXT}"
    )
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert "不知道短信是否已发出" in line


def closed(streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell that closes some of its standard streams."""
    command = f'exec "$0" -m yunxin_soap "$@" {streams}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("number", "status"), [("13900000000", 0), ("15499990007", 3)])
@pytest.mark.parametrize("streams", [">&-", "<&- >&- 2>&-"])
def test_send_closed_streams_keep_the_exit_status(streams: str, number: str, status: int) -> None:
    """A command whose output is closed ends as it would otherwise, without a traceback."""
    options = ("--sandbox", "--to", number, "--message", TEXT, "--json")
    result = closed(streams, "send", *options)
    assert result.returncode == status
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("send", "--sandbox", "--to-file", "-"), "--to-file - has nothing to read, because"),
        (("send", "--sandbox", "--to-file=-"), "--to-file - has nothing to read, because"),
        (("send", "--to", "1", "--password-file", "-"), "--password-file - has nothing to read"),
        (("campaign", "plan", "c", "--text", "-", "--dry-run"), "--text - has nothing to read"),
        (("send", "--user-code", "demo", "--channel", "37", "--to", "1"), "There is no password"),
    ],
)
def test_command_closed_stdin_names_the_cause(
    arguments: Sequence[str], cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed standard input has no numbers and no password, and says so in one line."""
    monkeypatch.delenv("YUNXIN_USER_PASS", raising=False)
    result = closed("<&-", *arguments, "--message", TEXT)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"yunxin-soap: {cause}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "both"),
    [
        (("send", "--password-file", "-", "--to-file=-"), "--password-file - and --to-file -"),
        (("campaign", "plan", "a", "--csv", "-", "--message-file", "-"), "--csv - and --message-"),
    ],
)
def test_command_reads_standard_input_once(arguments: Sequence[str], both: str) -> None:
    """What one option reads, another one cannot."""
    line = failed(run(*arguments, stdin="x\n13900000000\n"), 2)
    assert line.startswith(f"yunxin-soap: {both}")
    assert line.endswith("would both read standard input: name a file.\n")


def test_send_blank_signature_counts_as_unset(sandbox: Sandbox) -> None:
    """The error names the option and the variable as they are written."""
    arguments = "--to", "13900000000", "--message", "您好"
    line = failed(send(sandbox, *arguments, YUNXIN_SIGNATURE=" "), 2)
    assert "set one to append (--signature, YUNXIN_SIGNATURE; -5" in line


def test_send_dry_run_needs_no_account(sandbox: Sandbox) -> None:
    """A dry run works without user code and password."""
    nobody = {"YUNXIN_USER_CODE": "", "YUNXIN_USER_PASS": ""}
    result = send(sandbox, "--to", "13900000000", "--message", TEXT, "--dry-run", **nobody)
    assert result.exit_code == 0


def test_send_dry_run_shows_notes(sandbox: Sandbox) -> None:
    """What is allowed but seldom meant is a line on standard error, or a note in JSON."""
    long = ("--to", "13900000000", "--message", "长" * 1000 + TEXT, "--dry-run")
    assert "has 16 segments (1014 characters), more than --max-segments 10" in failed(
        send(sandbox, *long, "--max-segments", "10"), 2
    )
    result = send(sandbox, *long, YUNXIN_MAX_SEGMENTS="16")
    assert result.exit_code == 0
    assert result.stderr.startswith("yunxin-soap: Note: The message has 1014 characters")
    assert result.stderr.count("\n") == 1
    (note,) = as_json(send(sandbox, *long, "--max-segments", "16", "--json"), 0)["notes"]
    assert note in result.stderr


def test_send_shows_notes_before_it_sends(sandbox: Sandbox) -> None:
    """What looks like a hole in the text is a line on standard error, beside the batch number."""
    result = send(sandbox, "--to", "13900000000", "--message", "您好nan元【签名】")
    assert result.exit_code == 0
    assert result.stdout.strip().isdigit()
    assert "yunxin-soap: Note: " in result.stderr
    assert "nan" in result.stderr


def test_send_dry_run_shows_submission(sandbox: Sandbox) -> None:
    """A dry run checks and shows the submission, and sends nothing."""
    numbers = ",".join(str(13900000000 + i) for i in range(5))
    arguments = ("--to", numbers, "--message", "x", "--signature", "签名", "--dry-run")
    plain = send(sandbox, *arguments)
    assert plain.exit_code == 0
    assert "nothing was sent" in plain.stdout
    assert "5 (13900000000, 13900000001, 13900000002, …)" in plain.stdout
    assert "x【签名】" in plain.stdout
    found = as_json(send(sandbox, *arguments, "--json"), 0)
    assert found == {
        "outcome": "dry_run",
        "endpoint": sandbox.url,
        "protocol": "soap",
        "channel": "37",
        "extension": "",
        "recipients": numbers.split(","),
        "message": "x【签名】",
        "notes": [],
    }
    assert "Recipient 1" in failed(send(sandbox, "--to", "1", "--message", TEXT, "--dry-run"), 2)
    assert sandbox.inbox == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "utf-16", "utf-16-le"])
def test_send_file_is_read_as_a_campaign_reads_it(
    sandbox: Sandbox, tmp_path: Path, encoding: str
) -> None:
    """In every encoding that is detected, and in every notation of a number."""
    file = tmp_path / "list.txt"
    file.write_bytes(
        "\r\n１３９００００００００\r\n'13900000001、13900000002.0\r\n".encode(encoding)
    )
    assert send(sandbox, "--to-file", str(file), "--message", TEXT).exit_code == 0
    assert sandbox.inbox[-1].recipients == tuple(f"1390000000{digit}" for digit in range(3))
    planned = run(
        "campaign",
        "plan",
        "c",
        "--text",
        str(file),
        "--message",
        TEXT,
        "--channel",
        "37",
        "--dry-run",
        "--json",
    )
    assert json.loads(planned.stdout)["numbers"] == 3


def test_send_file_in_another_encoding_exits_2(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing is guessed."""
    file = tmp_path / "big5.txt"
    file.write_bytes("手機號碼名單\n13900000000".encode("big5"))
    result = send(sandbox, "--to-file", str(file), "--message", TEXT)
    assert "neither UTF-8 nor GBK text: big5 fits it best" in failed(result, 2)


def test_send_unreadable_file_exits_2(sandbox: Sandbox) -> None:
    """A file that opens and cannot be read is one line, not a traceback."""
    if not Path("/proc/self/mem").exists():
        pytest.skip("there is no file here that opens and cannot be read")
    result = send(sandbox, "--to-file", "/proc/self/mem", "--message", TEXT)
    assert "cannot be read" in failed(result, 2)
    arguments = ("--to", "13900000000", "--message", TEXT, "--password-file", "/proc/self/mem")
    assert "cannot be read" in failed(send(sandbox, *arguments), 2)


def test_codes_lists_documented_codes() -> None:
    """The table has every code with both texts; a code may be given without its sign."""
    text = run("codes").stdout
    for code, known in DOCUMENTED.items():
        assert f"{code:>4}  {known.category.value}" in text
        assert known.description_zh in text
        assert known.description_en in text
    one = run("codes", "-5").stdout
    assert "签名不正确" in one
    assert "余额不足" not in one
    assert run("codes", "5").stdout == one
    assert json.loads(run("codes", "-7", "--json").stdout) == {
        "code": -7,
        "name": "LOW_BALANCE",
        "category": "balance",
        "description_zh": "余额不足",
        "description_en": DOCUMENTED[-7].description_en,
        "temporary": False,
        "safe_to_resend": True,
    }
    assert [each["code"] for each in json.loads(run("codes", "--json").stdout)] == [*DOCUMENTED]
    assert len(DOCUMENTED) == 21
    unknown = run("codes", "-2")
    assert unknown.exit_code == 2
    assert "-2 is not in the vendor's manual" in unknown.stderr


def test_wsdl_show_names_file_ports_operations_and_types(tmp_path: Path) -> None:
    """The command shows the file, what fits, and what zeep sees in it."""
    shown = run("wsdl", "show").stdout
    assert "MsgSend.wsdl (came with the package)\nsoap: fits\nsoap12: fits\n" in shown
    assert "Port MsgSendHttpGet (http-get)\n  sendMesExt(userCode: xsd:string, " in shown
    assert "\n  ns0:sendMesExtResponse(sendMesExtResult: xsd:string)\n" in shown
    named = tmp_path / "named.wsdl"
    named.write_bytes(wsdl.shipped_path().read_bytes().replace(b'name="DesNo"', b'name="To"'))
    found = json.loads(run("wsdl", "show", "--wsdl", str(named), "--json").stdout)
    assert (found["path"], found["origin"]) == (str(named.resolve()), "named")
    difference = "DesNo is missing; To is unexpected"
    assert found["protocols"]["soap"] == {"fits": False, "difference": difference}
    assert [port["name"] for port in found["ports"]] == [
        "MsgSendSoap",
        "MsgSendSoap12",
        "MsgSendHttpGet",
        "MsgSendHttpPost",
    ]


def test_wsdl_refresh_and_rollback_change_what_show_names(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh puts the live WSDL in use, and a rollback the one before."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    cached = tmp_path.resolve() / "MsgSend.wsdl"
    assert run("wsdl", "refresh", "--url", sandbox.url).stdout == f"{cached} is in use now.\n"
    assert f"{cached} (in the user's cache" in run("wsdl", "show").stdout
    monkeypatch.setenv("YUNXIN_ENDPOINT", f"http://127.0.0.1:{free_port()}/api/MsgSend.asmx")
    assert "could not be fetched" in failed(run("wsdl", "refresh"), 2)
    assert "could not be fetched" in failed(run("wsdl", "check"), 2)
    back = json.loads(run("wsdl", "rollback", "--json").stdout)
    assert back == {"path": str(wsdl.shipped_path())}
    assert "nothing to roll back" in failed(run("wsdl", "rollback"), 2)
    cached.write_text("<broken/>")
    assert "its root element is broken" in failed(run("wsdl", "show"), 2)


def test_wsdl_refresh_goes_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """YUNXIN_PROXY carries the download, and no output shows its password."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    live = http_response(wsdl.shipped_path().read_text("utf-8"))
    with ScriptedServer(reply_with(live)) as server:
        monkeypatch.setenv("YUNXIN_PROXY", proxy_url(server, "user:pr0xy-s3cr3t"))
        assert run("wsdl", "refresh", "--url", "http://sms.example/x.asmx").exit_code == 0
    assert [each.target for each in server.requests] == ["http://sms.example/x.asmx?WSDL"]
    with ScriptedServer(reply_with(http_response("", "407 Proxy Authentication"))) as server:
        monkeypatch.setenv("YUNXIN_PROXY", proxy_url(server, "user:pr0xy-s3cr3t"))
        said = failed(run("wsdl", "check", "--url", "http://sms.example/x.asmx"), 2)
    assert "HTTP status 407" in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize(("command", "status"), [("check", 0), ("refresh", 0)])
def test_wsdl_goes_through_the_proxy_of_the_command_line(
    command: str, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--proxy takes precedence over YUNXIN_PROXY, and takes no password."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    monkeypatch.setenv("YUNXIN_PROXY", "http://127.0.0.1:1")
    url = "--url", "http://sms.example/x.asmx"
    live = http_response(wsdl.shipped_path().read_text("utf-8"))
    with ScriptedServer(reply_with(live)) as server:
        assert run("wsdl", command, *url, "--proxy", proxy_url(server)).exit_code == status
    assert [each.target for each in server.requests] == ["http://sms.example/x.asmx?WSDL"]
    said = failed(run("wsdl", command, *url, "--proxy", "http://a:s3cr3t@127.0.0.1:1"), 2)
    assert "--proxy has a user name" in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize("command", ["check", "refresh"])
def test_wsdl_wrong_address_names_what_was_used(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong address is named as the operator gave it."""
    monkeypatch.delenv("YUNXIN_ENDPOINT", raising=False)
    assert failed(run("wsdl", command, "--url", "x"), 2).startswith("yunxin-soap: --url 'x' must")
    said = failed(run("wsdl", command, "--url", "http://h/x?op=sendMesExt"), 2)
    assert said.startswith("yunxin-soap: --url has a query")
    monkeypatch.setenv("YUNXIN_ENDPOINT", "x")
    assert failed(run("wsdl", command), 2).startswith("yunxin-soap: YUNXIN_ENDPOINT='x' must")
    monkeypatch.setenv("YUNXIN_PROXY", "socks5://proxy:1080")
    said = failed(run("wsdl", command, "--url", "http://h/x"), 2)
    assert said.startswith("yunxin-soap: YUNXIN_PROXY must")


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ("", 0, "says the same as"),
        ('name="DesNo"', 8, "over soap are affected: DesNo is missing; Mobile is unexpected."),
        ('minOccurs="0" ', 7, "minOccurs of Msg is 1, not 0"),
    ],
)
def test_wsdl_check_exit_status_says_whether_sends_are_affected(
    change: str, status: int, words: str
) -> None:
    """0: nothing differs; 7: without effect on sends; 8: with one."""
    new = 'name="Mobile"' if "name" in change else ""
    live = wsdl.shipped_path().read_text("utf-8").replace(change, new)
    with ScriptedServer(reply_with(http_response(live))) as server:
        done = run("wsdl", "check", "--url", f"{server.url}?WSDL")
        found = json.loads(run("wsdl", "check", "--url", server.url, "--json").stdout)
    assert (done.exit_code, done.stderr) == (status, "")
    assert words in done.stdout
    assert (found["same"], bool(found["differences"])) == (status == 0, status != 0)
    assert list(found["affected"]) == ([*PROTOCOLS] if status == 8 else [])
    assert {request.target for request in server.requests} == {"/api/MsgSend.asmx?WSDL"}


def test_help_imports_no_heavy_module() -> None:
    """--help imports neither zeep nor an HTTP library."""
    script = (
        "import sys\n"
        "from yunxin_soap.__main__ import main\n"
        "sys.argv = ['yunxin-soap', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as done:\n    assert done.code == 0\n"
        "assert not {'zeep', 'lxml', 'aiohttp', 'urllib3', 'requests'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: yunxin-soap" in done.stdout


def test_main_without_click_names_extra() -> None:
    """Without click, the command names the extra to install."""
    script = (
        "import sys\nsys.modules['click'] = None\nfrom yunxin_soap.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "The command line needs click, which is not installed."
        f' Install what the extra "cli" brings: {install_command("cli")}\n'
    )


def test_send_sandbox_without_aiohttp_names_extra() -> None:
    """Without aiohttp, --sandbox names the extra to install."""
    script = (
        "import sys\nsys.modules['aiohttp'] = None\n"
        "from yunxin_soap.__main__ import main\n"
        "sys.argv = ['yunxin-soap', 'send', '--sandbox', '--to', '13900000000', '--message', 'x']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.endswith(f": {install_command('sandbox')}\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sandbox_serves_until_signal(tmp_path: Path, number: signal.Signals) -> None:
    """The sandbox serves the accounts of its configuration, and ends cleanly on a signal."""
    config = tmp_path / "sandbox.toml"
    config.write_text('[[accounts]]\nuser_code = "toml"\nuser_pass = "p"\n')
    command = [sys.executable, "-u", "-m", "yunxin_soap", "sandbox", "--port", "0"]
    with subprocess.Popen(
        [*command, "--config", str(config)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            with Client("toml", "p", channel=37, endpoint=url) as client:
                assert client.send("13900000000", TEXT).batch_no
        finally:
            process.send_signal(number)
        assert process.wait(timeout=30) == 0


def test_sandbox_records_and_injects_faults(tmp_path: Path) -> None:
    """--record keeps the arrivals without the password; --fault injects a fault."""
    path = tmp_path / "record.sqlite"
    command = [sys.executable, "-u", "-m", "yunxin_soap", "sandbox", "--port", "0"]
    faults = ["--fault", "code:code=-14,numbers=13900000001+13900000002,times=1"]
    with subprocess.Popen(
        [*command, "--record", str(path), *faults], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            with Client("demo", "demo", channel=37, endpoint=url) as client:
                batch_no = client.send("13900000000", TEXT).batch_no
                with pytest.raises(RecipientsRejected):
                    client.send("13900000002", TEXT)
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0
    record = ArrivalStore(SqliteArrivals(path))
    assert [arrival.result for arrival in record.arrivals] == [batch_no, "-14"]
    record.close()
    assert b"<ns0:userPass>demo<" not in path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--fault", "nothing"], "There is no fault 'nothing'"),
        (["--fault", "delay:seconds=x"], "fault 'delay': seconds must be a number"),
        (["--fault", "delay:seconds"], "'seconds' must be NAME=VALUE"),
        (["--fault", "delay:second=1"], "unknown option 'second'"),
        (["--fault", "delay:kind=close"], "unknown option 'kind'"),
        (["--record", "missing/record.sqlite"], "(its folder does not exist)"),
        (["--config", "missing/sandbox.toml"], "does not exist"),
        (["--port", "65536"], "65536 is not in the range"),
        (["--allow-host", "http://a.b"], "The allowed host 'http://a.b' is no host name"),
        (["--base-path", "sms"], "The base path 'sms' must be a path such as /sms"),
        (["--auth", "secret"], "--auth must be USER:FILE"),
        (["--auth", "ops:missing"], "The password file of --auth cannot be read"),
        (["--auth", f"ops:{os.devnull}"], "has no password on its first line"),
    ],
)
def test_sandbox_invalid_option_exits_2(
    arguments: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid fault, record file, configuration or port is one line."""
    monkeypatch.chdir(tmp_path)
    assert named in failed(run("sandbox", "--port", "0", *arguments), 2)


def test_sandbox_busy_port_or_invalid_config_exits_2(sandbox: Sandbox, tmp_path: Path) -> None:
    """A port in use and an invalid configuration are one line each."""
    port = sandbox.url.rsplit(":", 1)[1].split("/")[0]
    assert failed(run("sandbox", "--port", port), 2) == (
        f"yunxin-soap: The sandbox cannot listen on 127.0.0.1:{port}"
        f" ({os.strerror(errno.EADDRINUSE)}): choose another address or port.\n"
    )
    config = tmp_path / "sandbox.toml"
    config.write_text("[nonsense]\n")
    assert "nonsense" in failed(run("sandbox", "--config", str(config)), 2)


def test_sandbox_announces_addresses(tmp_path: Path) -> None:
    """The first lines name the page, its WSDL and the inbox; an open host adds a warning."""
    command = [sys.executable, "-u", "-m", "yunxin_soap", "sandbox", "--port", "0"]
    with subprocess.Popen(
        [*command, "--host", "0.0.0.0"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip("\n") for _ in range(5)]
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0
    found = re.fullmatch(r"The sandbox listens on (http://\S+:\d+)(/\S+)", lines[0])
    assert found is not None
    origin, path = found.groups()
    assert lines[1:] == [
        f"Its WSDL: {origin}{path}?WSDL",
        f"Its inbox: {origin}/",
        "It has no login: anyone on a network that reaches this machine can use it.",
        "Ctrl-C ends it.",
    ]
    assert [*tmp_path.iterdir()] == []


def test_sandbox_access_options_reach_the_server(tmp_path: Path) -> None:
    """The page is at the base path, under the allowed host, for those who have the password."""
    (tmp_path / "password").write_text("口令\n", "utf-8")
    command = [sys.executable, "-u", "-m", "yunxin_soap", "sandbox", "--port", "0"]
    access = ["--allow-host", ".example.com", "--base-path", "/sms", "--auth", "ops:password"]
    numbers = ["--no-test-numbers", "--host", "0.0.0.0"]
    with subprocess.Popen(
        [*command, *access, *numbers], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip("\n") for _ in range(4)]
            port = lines[0].rpartition(":")[2].partition("/")[0]
            assert lines[2] == f"Its inbox: http://0.0.0.0:{port}/sms/"
            assert lines[3] == (
                "Its inbox and REST API ask for the login of --auth; the service does not."
            )
            url = f"http://127.0.0.1:{port}/sms/api/v1/configuration"
            headers = {"Host": "sms.example.com"}
            login = HTTPBasicAuth(b"ops", "口令".encode())
            assert requests.get(url, headers=headers, timeout=20).status_code == 401
            shown = requests.get(url, headers=headers, auth=login, timeout=20)
            assert shown.json()["test_numbers"] == []
            assert requests.get(f"http://127.0.0.1:{port}/health", timeout=20).ok
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0


def test_sandbox_help_lists_every_fault() -> None:
    """The help names every kind of fault and every option."""
    text = run("sandbox", "--help").stdout
    words = set(re.findall(r"[\w-]+", text.partition("Faults:")[2]))
    for kind, model in FAULT_TYPES.items():
        summary = (model.__doc__ or "").partition("\n")[0]
        assert f"\n    {kind:12}  {summary}\n" in text
    assert words >= {name for kind in FAULT_TYPES for name in option_names(kind)}


def test_sandbox_help_shows_the_test_numbers() -> None:
    """The help shows every test number and what it does."""
    text = " ".join(run("sandbox", "--help").stdout.split())
    for each in TEST_NUMBERS:
        shown = each.first if each.first == each.last else f"{each.first} … {each.last}"
        assert f"{shown} {each.description_en}" in text


def test_sandbox_document_names_every_option_and_test_number() -> None:
    """docs/how-to/sandbox.md has the options of the command, the test numbers and the paths."""
    text = (DOCS / "how-to" / "sandbox.md").read_text("utf-8")
    options = set(re.findall(r"^ +(--[a-z-]+)", run("sandbox", "--help").stdout, re.MULTILINE))
    assert {option for option in options if f"`{option}" not in text} == set()
    for each in TEST_NUMBERS:
        assert f"`{each.first}`" in text
        assert f"`{each.last}`" in text


def test_version_option_prints_version() -> None:
    """--version prints the version of the package."""
    assert run("--version").stdout == f"yunxin-soap, version {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["send"], ["campaign"], ["campaign", "plan"]])
def test_help_short_option_equals_long(arguments: list[str]) -> None:
    """-h is --help for every command."""
    short, long = run(*arguments, "-h"), run(*arguments, "--help")
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert short.stdout.startswith(" ".join(["Usage: cli", *arguments]).rstrip())


def prompted(sandbox: Sandbox, typed: bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Send with a terminal as standard input and no password in the environment."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_CHANNEL": "37",
        "YUNXIN_ENDPOINT": sandbox.url,
        **env,
    }
    command = ["-m", "yunxin_soap", "send", "--to", "13900000000", "--message", TEXT]
    with subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # no terminal of the test run's own
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        prompt = process.stderr.read(len("Password: "))
        os.write(ours, typed)
        output, errors = process.communicate(timeout=30)
    os.close(ours)
    return subprocess.CompletedProcess(command, process.returncode, output, prompt + errors)


def test_send_terminal_prompts_for_password(sandbox: Sandbox) -> None:
    """At a terminal, the command prompts for the password and does not echo it."""
    done = prompted(sandbox, b"demo\n")
    assert done.returncode == 0
    prompt, explained, rest = done.stderr.split(b"\n")
    assert (prompt.strip(), rest) == (b"Password:", b"")
    assert explained.startswith(b"This is the batch number")
    assert done.stdout.decode() == f"{sandbox.inbox[0].batch_no}\n"


def test_send_prompt_closed_exits_2(sandbox: Sandbox) -> None:
    """The end of input at the prompt ends the command, and nothing is sent."""
    done = prompted(sandbox, b"\x04")
    assert done.returncode == 2
    assert b"Ended at the prompt; nothing was sent." in done.stderr
    assert sandbox.arrivals == ()


def test_send_prompt_in_another_encoding_names_the_cause(sandbox: Sandbox) -> None:
    """A password that the locale cannot decode is one clear line, and nothing is sent."""
    done = prompted(sandbox, "密码\n".encode("gbk"), PYTHONUTF8="1")
    assert done.returncode == 2
    assert (
        b"yunxin-soap: What was typed is not UTF-8 text, as from a terminal in GBK" in done.stderr
    )
    assert b"Traceback" not in done.stderr
    assert sandbox.arrivals == ()
