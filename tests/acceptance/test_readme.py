"""What the README says is so: its table of codes, its settings, its own examples."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from yunxin_soap import Client
from yunxin_soap.campaign import AsyncLedger, Ledger
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.sandbox import Config, Sandbox
from yunxin_soap.sandbox.faults.model import FAULT_TYPES, option_names

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_two_commands_are_the_first_sh_blocks_of_one_line_each() -> None:
    first, second = blocks("sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "send --sandbox" in first
    assert "pytest" in second


def test_the_table_of_codes_is_the_manuals() -> None:
    rows = re.findall(r"^\| (-\d+)\S* \| (.+?) \| .+? \| (\w+) \|$", README, re.MULTILINE)
    assert {int(code): (chinese, category) for code, chinese, category in rows} == {
        code: (known.description_zh, known.category.value) for code, known in DOCUMENTED.items()
    }


def test_every_setting_is_in_the_table() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    arguments = [*inspect.signature(Client).parameters]
    assert [name for name in arguments if f"`{name}`" not in table] == []


def test_every_method_of_a_ledger_is_named() -> None:
    section = README.partition("## Campaigns")[2].partition("\n## ")[0]
    methods = {name for name in dir(Ledger) if not name.startswith("_")}
    assert {name for name in methods if f"`{name}(" not in section} == {
        "close",
        "run_async",
        "send_once_async",
    }
    assert "`await run_async(" in section
    assert "`await send_once_async(" in section
    of_async = {name for name in dir(AsyncLedger) if not name.startswith("_")}
    assert methods - of_async == {"run_async", "send_once_async"}


def test_the_python_example_runs(sandbox: Sandbox) -> None:
    example = blocks("python")[0].replace(
        'Client("user", "secret",', f'Client("demo", "demo", endpoint="{sandbox.url}",'
    )
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == sandbox.inbox[0].batch_no


def test_the_scheduled_job_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    (example,) = (block for block in blocks("python") if "def nightly" in block)
    (tmp_path / "customers.csv").write_text("name,phone\n甲,13900000000\n乙,13900000001\n", "utf-8")
    given = {"USER_CODE": "demo", "USER_PASS": "demo", "ENDPOINT": sandbox.url}
    # Whatever the hour is.
    example = example.replace('between="08:00-21:00", ', "")
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", example],
            cwd=tmp_path,
            env={**os.environ, **{f"YUNXIN_{name}": value for name, value in given.items()}},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert [each.message for each in sandbox.inbox] == [
        "您好乙，您的账单已出【签名】",
        "您好甲，您的账单已出【签名】",
    ]


def test_every_campaign_command_is_in_the_table() -> None:
    from yunxin_soap.cli.campaign import campaign_group

    table = README.partition("## Campaigns")[2].partition("\n## ")[0]
    assert [name for name in campaign_group.commands if f"| `{name}" not in table] == []


@pytest.mark.parametrize(("place", "passed"), [(-2, 4), (-1, 1)])
def test_the_test_examples_pass(tmp_path: Path, place: int, passed: int) -> None:
    example = blocks("python")[place]
    assert ("campaign" in example) == (place == -1)  # which needs another extra
    (tmp_path / "test_mine.py").write_text(example, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert f"{passed} passed" in done.stdout


def test_the_toml_example_loads(tmp_path: Path) -> None:
    (config,) = blocks("toml")
    file = tmp_path / "sandbox.toml"
    file.write_text(config, "utf-8")
    loaded = Config.from_toml(file)
    assert loaded.banned_words == ("促销", "中奖")
    assert loaded.accounts[0].channels[0].closes.hour == 21


def test_every_fault_is_in_the_table() -> None:
    table = README.partition("### Made to fail")[2].partition("\n### ")[0]
    assert [kind for kind in FAULT_TYPES if f"`{kind}`" not in table] == []
    options = {name for kind in FAULT_TYPES for name in option_names(kind)}
    assert [name for name in options if f"`{name}`" not in table] == []


@pytest.mark.parametrize("name", ["NotSent", "OutcomeUnknown", "ConfigurationRejected"])
def test_the_error_tree_names_what_exists(name: str) -> None:
    import yunxin_soap

    assert name in README
    assert hasattr(yunxin_soap, name)
