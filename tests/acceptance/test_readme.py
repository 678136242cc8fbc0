"""The README is true: its tables are complete and its examples run."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest

import yunxin_soap
import yunxin_soap.sandbox as sandbox_package
from tests.support.nested_pytest import run_pytest
from yunxin_soap import (
    Client,
    ConfigurationError,
    NotInLedger,
    NotSent,
    OutcomeUnknown,
    Rejected,
    RequestInfo,
    YunxinError,
    campaign,
)
from yunxin_soap.campaign import Ledger, running, storage
from yunxin_soap.campaign.running.once import OnceSends
from yunxin_soap.cli.exit_status import MEANINGS, Exit
from yunxin_soap.cli.output import EXIT_STATUS
from yunxin_soap.cli.send import send_command
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.sandbox import Config, Sandbox
from yunxin_soap.sandbox.faults.model import FAULT_TYPES, option_names

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def section(title: str, level: str = "##") -> str:
    """Return the text below a heading, up to the next one of the same level."""
    text = README.partition(f"\n{level} {title}")[2].partition(f"\n{level} ")[0]
    assert text, f"the README has no section {title}"
    return text


def test_readme_first_sh_blocks_are_the_two_commands() -> None:
    """The two commands of a new clone are the first sh blocks, of one line each."""
    first, second = blocks("sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "send --sandbox" in first
    assert "pytest" in second


def test_readme_code_table_matches_the_manual() -> None:
    """The table of result codes has the manual's text and the category of each code."""
    rows = re.findall(r"^\| (-\d+)\S* \| (.+?) \| .+? \| (\w+) \|$", README, re.MULTILINE)
    assert {int(code): (text, category) for code, text, category in rows} == {
        code: (known.description_zh, known.category.value) for code, known in DOCUMENTED.items()
    }


def test_readme_settings_table_has_every_argument() -> None:
    """The table of settings names every argument of the clients."""
    table = section("Settings")
    arguments = [*inspect.signature(Client).parameters]
    assert [name for name in arguments if f"`{name}`" not in table] == []


def test_readme_campaigns_names_every_method_of_a_ledger() -> None:
    """The section on campaigns names every method of `Ledger` and of `Ledger.once`."""
    text = section("Campaigns")
    methods = {name for name in dir(Ledger) if not name.startswith("_")}
    assert {name for name in methods if f"`{name}(" not in text} == {"close"}
    methods = {name for name in dir(OnceSends) if not name.startswith("_")}
    assert {name for name in methods if f"`once.{name}(" not in text} == {"begin"}


def test_readme_settings_says_which_variables_are_options_of_send() -> None:
    """`send` has an option for each variable in the table but the password's."""
    text = section("Settings")
    rows = re.findall(r"^\| `.+? \| (`YUNXIN_.+?) \|", text, re.MULTILINE)
    variables = {name.lower() for row in rows for name in re.findall(r"YUNXIN_(\w+)", row)}
    options = {name for each in send_command.params for name in each.opts}
    missing = {name for name in variables if f"--{name.replace('_', '-')}" not in options}
    assert missing == {"user_pass"}
    claimed = text.partition("has an option for each variable but one: ")[2].partition(". ")[0]
    assert set(re.findall(r"`(--[\w-]+)`", claimed)) == {
        f"--{name.replace('_', '-')}" for name in variables - missing
    }


def test_readme_json_table_has_every_key_of_every_error() -> None:
    """The table of an error's keys in JSON has each key of each error, and no other."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", section("The four outcomes"), re.MULTILINE)
    start = rows.index(("key", "in")) + 2  # below the heading and its line
    documented = {key for keys, _ in rows[start:] for key in re.findall(r"`(\w+)`", keys)}
    errors: list[YunxinError] = [
        ConfigurationError("wrong"),
        NotInLedger("missing"),
        NotSent("away"),
        Rejected("no"),
        OutcomeUnknown("lost"),
    ]
    assert documented == {key for error in errors for key in error.to_dict()}
    (request,) = re.findall(r"^\| `request` \| .+? \| `\{(.+?)\}`", README, re.MULTILINE)
    assert re.findall(r'"(\w+)"', request) == [field.name for field in fields(RequestInfo)]


def test_readme_exit_statuses_are_those_of_the_commands() -> None:
    """The table of exit statuses is the one that the help is made from."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\| .* \|$", section("Command line"), re.MULTILINE)
    ]
    start = next(index for index, row in enumerate(rows) if row[0] == "exit status")
    assert rows[start][1:] == list(MEANINGS)
    documented = {
        Exit(int(status)): dict(zip(MEANINGS, cells, strict=True))
        for status, *cells in rows[start + 2 : start + 2 + len(Exit)]
    }
    for status in Exit:
        for commands, meanings in MEANINGS.items():
            assert documented[status][commands] == meanings.get(status, "")
    assert set(EXIT_STATUS.values()) <= set(Exit)


def test_readme_fault_options_have_their_defaults_and_kinds() -> None:
    """The table of a fault's own options names their kinds and defaults."""
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| (.+?) \| (.+?) \|$", section("Injecting faults", "###"), re.MULTILINE
    )
    documented = {name: (default, kinds) for name, default, kinds in rows}
    for name in ("seconds", "jitter", "status", "code", "left"):
        default, kinds = documented[name]
        having = [kind for kind in FAULT_TYPES if name in option_names(kind)]
        assert re.findall(r"`([\w-]+)`", kinds) == having
        defaults = {
            float(cast("Any", field.default).default)
            for kind in having
            for field in fields(cast("Any", FAULT_TYPES[kind]))
            if field.name == name
        }
        assert defaults == {float(default)}
    for kind in FAULT_TYPES:
        others = {"numbers", "user_code", "protocol", "text", "skip", "probability"}
        assert others.isdisjoint(option_names(kind)) == (kind == "refuse")


def test_readme_python_example_sends(sandbox: Sandbox) -> None:
    """The first Python example sends an SMS and prints its batch number."""
    example = blocks("python")[0].replace(
        'Client("user", "secret",', f'Client("demo", "demo", endpoint="{sandbox.url}",'
    )
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == sandbox.inbox[0].batch_no


def test_readme_scheduled_job_run_twice_sends_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """The example of a nightly job sends its campaign once, even if it runs twice."""
    (example,) = (block for block in blocks("python") if "def nightly" in block)
    (tmp_path / "customers.csv").write_text("name,phone\n甲,13900000000\n乙,13900000001\n", "utf-8")
    settings = {"USER_CODE": "demo", "USER_PASS": "demo", "ENDPOINT": sandbox.url}
    assert "sending_hours" not in example  # at night it would wait until morning
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", example],
            cwd=tmp_path,
            env={**os.environ, **{f"YUNXIN_{name}": value for name, value in settings.items()}},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert sorted(each.message for each in sandbox.inbox) == [
        "您好乙，您的账单已出【签名】",
        "您好甲，您的账单已出【签名】",
    ]


def test_readme_examples_import_only_public_names() -> None:
    """What the examples import is exported by one of the public modules."""
    imported = [
        (node.module or "", name.name)
        for block in blocks("python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("yunxin_soap")
        for name in node.names
    ]
    assert ("yunxin_soap", "Client") in imported
    assert {module for module, _ in imported} <= {
        "yunxin_soap",
        "yunxin_soap.campaign",
        "yunxin_soap.sandbox",
        "yunxin_soap.wsdl",
    }
    assert [
        name for module, name in imported if name not in importlib.import_module(module).__all__
    ] == []


def test_readme_campaigns_table_has_every_command() -> None:
    """The table of campaign commands names every one."""
    from yunxin_soap.cli.campaign import campaign_group

    table = section("Campaigns")
    assert [name for name in campaign_group.commands if f"| `{name}" not in table] == []


@pytest.mark.parametrize(("position", "passed"), [(-2, 4), (-1, 1)])
def test_readme_test_examples_pass(tmp_path: Path, position: int, passed: int) -> None:
    """The examples of tests pass under pytest with the plugin's fixtures."""
    example = blocks("python")[position]
    assert ("campaign" in example) == (position == -1)  # the last one needs another extra
    (tmp_path / "test_mine.py").write_text(example, "utf-8")
    assert f"{passed} passed" in run_pytest(tmp_path, "-p", "no:cacheprovider")


def test_readme_toml_example_loads(tmp_path: Path) -> None:
    """The sandbox reads the example of a configuration file."""
    (config,) = blocks("toml")
    file = tmp_path / "sandbox.toml"
    file.write_text(config, "utf-8")
    loaded = Config.from_toml(file)
    assert loaded.banned_words == ("促销", "中奖")
    assert loaded.accounts[0].channels[0].closes.hour == 21


def test_readme_developing_names_every_module() -> None:
    """The table of modules names all of the package's, and the parts of campaigns and sandbox."""
    table = section("Developing")
    named = {name for row in re.findall(r"`([\w/]+)`", table) for name in row.split("/")}
    named |= {
        name for row in re.findall(r"`\w+/` \(([\w, ]+)\)", table) for name in row.split(", ")
    }
    modules = {
        each.name
        for package in (yunxin_soap, campaign, running, storage, sandbox_package)
        for each in pkgutil.iter_modules(package.__path__)
    }
    assert modules - named == {"_version"}


def test_readme_fault_table_has_every_kind_and_option() -> None:
    """The section on faults names every kind and every option."""
    text = section("Injecting faults", "###")
    assert [kind for kind in FAULT_TYPES if f"`{kind}`" not in text] == []
    options = {name for kind in FAULT_TYPES for name in option_names(kind)}
    assert [name for name in options if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", ["NotSent", "OutcomeUnknown", "ConfigurationRejected"])
def test_readme_error_tree_names_existing_errors(name: str) -> None:
    """The error tree names errors that the package exports."""
    assert name in README
    assert hasattr(yunxin_soap, name)
