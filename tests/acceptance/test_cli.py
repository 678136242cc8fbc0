"""The command line: in-process with click's runner, and as a real process where that matters."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.ports import free_port
from yunxin_soap import Client, RecipientsRejected
from yunxin_soap.cli import cli
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.sandbox import Account, Sandbox
from yunxin_soap.sandbox.arrivals.sqlite import Journal
from yunxin_soap.sandbox.arrivals.store import Record

TEXT = "您的验证码是1234【签名】"


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


def test_the_batch_number_is_printed(sandbox: Sandbox) -> None:
    result = send(sandbox, "--to", "13900000000", "--message", TEXT)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{sandbox.inbox[0].batch_no}\n"


def test_an_embedded_sandbox() -> None:
    result = run("send", "--sandbox", "--to", "13900000000", "--message", TEXT)
    assert result.exit_code == 0
    assert re.fullmatch(r"[0-9]{19}\n", result.stdout)


def test_the_embedded_sandbox_is_never_another_gateway(sandbox: Sandbox) -> None:
    result = send(sandbox, "--sandbox", "--to", "13900000000", "--message", TEXT)
    assert result.exit_code == 0
    assert sandbox.inbox == ()
    both = run(
        "send", "--sandbox", "--endpoint", sandbox.url, "--to", "13900000000", "--message", TEXT
    )
    assert both.exit_code == 2
    assert "exclude each other" in both.stderr


def test_numbers_from_everywhere(sandbox: Sandbox, tmp_path: Path) -> None:
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


def test_every_option_reaches_the_gateway(sandbox: Sandbox) -> None:
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
    assert (submission.user_code, submission.port) == ("cli", "http-post")


def test_the_password_from_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
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


def test_no_password_is_one_clear_line(sandbox: Sandbox) -> None:
    result = send(sandbox, "--to", "13900000000", "--message", TEXT, YUNXIN_USER_PASS="")
    assert "There is no password: set YUNXIN_USER_PASS" in failed(result, 2)


@pytest.mark.parametrize(
    ("name", "option"), [("USER_CODE", "--user-code"), ("CHANNEL", "--channel")]
)
def test_what_else_is_missing_is_named_by_its_option(
    sandbox: Sandbox, name: str, option: str
) -> None:
    result = send(sandbox, "--to", "13900000000", "--message", TEXT, **{f"YUNXIN_{name}": ""})
    assert option in failed(result, 2)


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"", "no password on its first line"), (b"\xc4\xe3\xff\n", "not UTF-8")],
)
def test_a_password_file_that_holds_none(
    sandbox: Sandbox, tmp_path: Path, content: bytes, line: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    arguments = ("--to", "13900000000", "--message", TEXT, "--password-file", str(file))
    assert line in failed(send(sandbox, *arguments), 2)


def test_a_byte_order_mark_is_no_part_of_the_password(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbfdemo\r\n")
    arguments = ("--to", "13900000000", "--message", TEXT, "--password-file", str(file))
    assert send(sandbox, *arguments).exit_code == 0


def test_no_option_takes_the_password() -> None:
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
        (["--to", "13900000000", "--message", TEXT, "--protocol", "x"], "protocol='x'"),
        (["--to", "13900000000", "--message", TEXT, "--endpoint", "x"], "endpoint"),
    ],
)
def test_a_wrong_request_ends_with_2(sandbox: Sandbox, arguments: Sequence[str], line: str) -> None:
    assert line in failed(send(sandbox, *arguments), 2)
    assert sandbox.inbox == ()


def test_a_refusal_ends_with_3(sandbox: Sandbox) -> None:
    line = failed(send(sandbox, "--to", "13900001007", "--message", TEXT), 3)
    assert "-7 余额不足" in line


def test_a_dead_gateway_ends_with_4(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yunxin_soap.transport.retry.FIRST_DELAY", 0.0)
    url = f"http://127.0.0.1:{free_port()}/api/MsgSend.asmx"
    line = failed(send(sandbox, "--to", "13900000000", "--message", TEXT, "--endpoint", url), 4)
    assert "Nothing was sent" in line


def test_an_unknown_outcome_ends_with_5(sandbox: Sandbox) -> None:
    line = failed(send(sandbox, "--to", "13900002000", "--message", TEXT), 5)
    assert "unknown" in line


def test_an_interrupt_is_an_unknown_outcome(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    # A signal cannot be timed to the moment between request and answer.
    monkeypatch.setattr(Client, "send", interrupted)
    line = failed(send(sandbox, "--to", "13900000000", "--message", TEXT), 5)
    assert "unknown" in line


def test_help_says_what_the_exit_status_means() -> None:
    text = run("send", "--help").stdout
    for word in ("0  accepted", "3  rejected", "4  not sent", "5  unknown", "YUNXIN_USER_PASS"):
        assert word in text


def as_json(result: Result, status: int) -> dict[str, Any]:
    assert (result.exit_code, result.stderr) == (status, "")
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_json_for_every_outcome(sandbox: Sandbox) -> None:
    common = ("--message", TEXT, "--json")
    accepted = as_json(send(sandbox, "--to", "13900000000", *common), 0)
    assert accepted["outcome"] == "accepted"
    assert accepted["batch_no"] == sandbox.inbox[0].batch_no
    assert accepted["recipients"] == ["13900000000"]
    rejected = as_json(send(sandbox, "--to", "13900001006", *common), 3)
    assert (rejected["outcome"], rejected["code"]) == ("rejected", -6)
    assert (rejected["keyword"], rejected["category"]) == ("促销", "content")
    assert rejected["safe_to_resend"] is True
    unknown = as_json(send(sandbox, "--to", "13900002000", *common), 5)
    assert (unknown["outcome"], unknown["safe_to_resend"]) == ("unknown", False)
    assert unknown["http_status"] == 500
    assert "Server was unable to process request" in unknown["excerpt"]
    invalid = as_json(send(sandbox, "--to", "1", *common), 2)
    assert (invalid["outcome"], invalid["error"]) == ("not_sent", "InvalidRequest")
    wrong = as_json(send(sandbox, "--to", "13900000000", *common, "--protocol", "x"), 2)
    assert (wrong["outcome"], wrong["error"]) == ("not_sent", "ConfigurationError")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", "13900000000"],
        ["--to", "13900000000", "--message", TEXT, "--nonsense"],
        ["--to-file", "absent.txt", "--message", TEXT],
        ["--to", "13900000000", "--message", TEXT, "--timeout", "soon"],
    ],
)
def test_wrong_usage_is_one_line_or_json_too(sandbox: Sandbox, arguments: Sequence[str]) -> None:
    failed(send(sandbox, *arguments), 2)
    found = as_json(send(sandbox, *arguments, "--json"), 2)
    assert (found["outcome"], found["error"]) == ("not_sent", "ConfigurationError")


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
def test_a_terminal_without_the_letters_ends_no_command(sandbox: Sandbox, encoding: str) -> None:
    env = {"PYTHONIOENCODING": encoding}
    arguments = ("send", "--to", "13900000000", "--message", "你好😀【签名】", "--json")
    done = real(sandbox, *arguments, env=env, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["message"] == "你好😀【签名】"
    codes = real(sandbox, "codes", "-5", env=env, encoding=encoding)
    assert (codes.returncode, codes.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_accepted_sms_stays_accepted_when_it_cannot_be_printed(sandbox: Sandbox) -> None:
    with Path("/dev/full").open("w") as full:
        done = real(sandbox, "send", "--to", "13900000000", "--message", TEXT, stdout=full)
    assert done.returncode == 0
    assert sandbox.inbox[0].batch_no in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_dry_run_wants_no_account(sandbox: Sandbox) -> None:
    nobody = {"YUNXIN_USER_CODE": "", "YUNXIN_USER_PASS": ""}
    result = send(sandbox, "--to", "13900000000", "--message", TEXT, "--dry-run", **nobody)
    assert result.exit_code == 0


def test_a_dry_run_sends_nothing(sandbox: Sandbox) -> None:
    numbers = ",".join(str(13900000000 + i) for i in range(5))
    arguments = ("--to", numbers, "--message", "x", "--signature", "签名", "--dry-run")
    plain = send(sandbox, *arguments)
    assert plain.exit_code == 0
    assert "nothing was sent" in plain.stdout
    assert "5 (13900000000, 13900000001, 13900000002, …)" in plain.stdout
    assert "x【签名】" in plain.stdout
    found = as_json(send(sandbox, *arguments, "--json"), 0)
    assert (found["outcome"], len(found["recipients"])) == ("dry_run", 5)
    assert "Recipient 1" in failed(send(sandbox, "--to", "1", "--message", TEXT, "--dry-run"), 2)
    assert sandbox.inbox == ()


def test_a_file_that_is_not_utf_8(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "gbk.txt"
    file.write_bytes("号码\n13900000000".encode("gbk"))
    result = send(sandbox, "--to-file", str(file), "--message", TEXT)
    assert "not UTF-8" in failed(result, 2)


def test_a_file_that_cannot_be_read(sandbox: Sandbox) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("there is no file here that opens and cannot be read")
    result = send(sandbox, "--to-file", "/proc/self/mem", "--message", TEXT)
    assert "cannot be read" in failed(result, 2)
    arguments = ("--to", "13900000000", "--message", TEXT, "--password-file", "/proc/self/mem")
    assert "cannot be read" in failed(send(sandbox, *arguments), 2)


def test_the_codes() -> None:
    text = run("codes").stdout
    for code, known in DOCUMENTED.items():
        assert f"{code:>4}  {known.category.value}" in text
        assert known.description_zh in text
        assert known.description_en in text
    one = run("codes", "-5").stdout
    assert "签名不正确" in one
    assert "余额不足" not in one
    assert run("codes", "5").stdout == one
    assert json.loads(run("codes", "-7", "--json").stdout)["name"] == "LOW_BALANCE"
    assert len(json.loads(run("codes", "--json").stdout)) == 21
    unknown = run("codes", "-2")
    assert unknown.exit_code == 2
    assert "-2 is not in the vendor's manual" in unknown.stderr


def test_the_wsdl_command(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    assert "came with the package" in run("wsdl").stdout
    refreshed = run("wsdl", "--refresh", "--endpoint", sandbox.url)
    assert refreshed.exit_code == 0
    assert f"{tmp_path.resolve() / 'MsgSend.wsdl'} (in the user's cache" in refreshed.stdout
    assert "It fits: soap, soap12, http-get, http-post." in refreshed.stdout
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "MsgSend.wsdl").write_text("<broken/>")
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(broken))
    assert "does not fit" in failed(run("wsdl"), 2)


def test_help_imports_neither_zeep_nor_aiohttp() -> None:
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


def test_without_click_the_command_says_what_to_install() -> None:
    script = (
        "import sys\nsys.modules['click'] = None\nfrom yunxin_soap.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == 'The command line needs click: pip install "yunxin-soap[cli]"\n'


def test_without_aiohttp_the_sandbox_says_what_to_install() -> None:
    script = (
        "import sys\nsys.modules['aiohttp'] = None\n"
        "from yunxin_soap.__main__ import main\n"
        "sys.argv = ['yunxin-soap', 'send', '--sandbox', '--to', '13900000000', '--message', 'x']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'pip install "yunxin-soap[sandbox]"' in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_command_serves_until_it_is_told_to_end(
    tmp_path: Path, number: signal.Signals
) -> None:
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


def test_the_sandbox_command_records_and_fails_on_purpose(tmp_path: Path) -> None:
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
    record = Record(Journal(path))
    assert [arrival.answer for arrival in record.arrivals] == [batch_no, "-14"]
    record.close()
    assert b"<ns0:userPass>demo<" not in path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--fault", "nothing"], "There is no fault 'nothing'"),
        (["--fault", "delay:seconds=x"], "'seconds=x' must be a number"),
        (["--fault", "delay:seconds"], "'seconds' must be NAME=VALUE"),
        (["--fault", "delay:second=1"], "'second' is not known"),
        (["--fault", "delay:kind=close"], "'kind' is not known"),
        (["--record", "/nonexistent/record.sqlite"], "cannot be opened"),
    ],
)
def test_a_sandbox_that_cannot_be_meant_is_one_clear_line(arguments: list[str], named: str) -> None:
    assert named in failed(run("sandbox", "--port", "0", *arguments), 2)


def test_a_busy_port_and_a_wrong_config_are_one_clear_line(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    port = sandbox.url.rsplit(":", 1)[1].split("/")[0]
    assert f"127.0.0.1:{port}" in failed(run("sandbox", "--port", port), 2)
    config = tmp_path / "sandbox.toml"
    config.write_text("[nonsense]\n")
    assert "nonsense" in failed(run("sandbox", "--config", str(config)), 2)
