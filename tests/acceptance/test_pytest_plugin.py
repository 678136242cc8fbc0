"""The fixtures for a user's own tests, beyond what `tests.acceptance.user_project` shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_TESTS = """
import pytest
from yunxin_soap.sandbox import Account

@pytest.fixture(scope="session", autouse=True)
def account(_yunxin_server):
    _yunxin_server.add_account(Account("ours", "secret"))

@pytest.mark.parametrize("turn", [1, 2])
def test_an_account(yunxin_sandbox, yunxin_client, turn):
    yunxin_client.send("13900000000", "您好")
    accounts = {each.user_code: each.user_pass for each in yunxin_sandbox.gateway.accounts}
    assert accounts == {"demo": "demo", "ours": "secret"}
    yunxin_sandbox.add_account(Account("demo", "other"))
"""


def test_an_account_of_one_test_is_not_the_next_one_s(tmp_path: Path) -> None:
    (tmp_path / "test_accounts.py").write_text(_TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_plugins_that_are_named_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "test_async.py").write_text(
        "import pytest\n\n@pytest.mark.asyncio\n"
        "async def test_it(yunxin_async_client):\n"
        "    await yunxin_async_client.send('13900000000', '您好')\n",
        "utf-8",
    )
    plugins = ["-p", "pytest_asyncio.plugin", "-p", "yunxin_soap.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, str(tmp_path)],
        cwd=tmp_path,
        # What is asked of the run outside, as of pytest-xdist, is unknown here.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout
