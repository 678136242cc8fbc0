"""The pytest plugin's fixtures, beyond what `tests.acceptance.user_project` shows."""

from __future__ import annotations

from pathlib import Path

from tests.support.nested_pytest import run_pytest

_ACCOUNT_TESTS = """
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


def test_yunxin_sandbox_account_of_one_test_is_removed_before_the_next(tmp_path: Path) -> None:
    """An account that one test adds does not reach the next test; a session fixture's does."""
    (tmp_path / "test_accounts.py").write_text(_ACCOUNT_TESTS, "utf-8")
    assert "2 passed" in run_pytest(tmp_path)


def test_yunxin_async_client_plugins_named_one_by_one_runs(tmp_path: Path) -> None:
    """The fixture works where plugins are not autoloaded but given with -p."""
    (tmp_path / "test_async.py").write_text(
        "import pytest\n\n@pytest.mark.asyncio\n"
        "async def test_it(yunxin_async_client):\n"
        "    await yunxin_async_client.send('13900000000', '您好')\n",
        "utf-8",
    )
    plugins = ["-p", "pytest_asyncio.plugin", "-p", "yunxin_soap.pytest_plugin"]
    output = run_pytest(tmp_path, *plugins, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert "1 passed" in output


def test_yunxin_async_client_on_trio_fails_with_the_reason(tmp_path: Path) -> None:
    """On an anyio backend other than asyncio, the fixture fails and says what to change."""
    (tmp_path / "test_trio.py").write_text(
        "import pytest\n\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n\n"
        "@pytest.fixture\ndef anyio_backend_name():\n    return 'trio'\n\n"
        "@pytest.mark.anyio\n"
        "async def test_it(yunxin_async_client):\n    pass\n",
        "utf-8",
    )
    output = run_pytest(tmp_path, "-p", "no:asyncio", status=1)
    assert "yunxin_async_client supports asyncio only" in output
    assert "make the fixture anyio_backend return 'asyncio'" in output
