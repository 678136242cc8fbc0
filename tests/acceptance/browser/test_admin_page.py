"""The Django admin in a browser: look at what is unknown, decide it, and find who did."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser.conftest import SCREENSHOTS
from tests.integration.campaign.killing.processes import wait_until
from tests.support.doc_pages import TOP
from tests.support.ports import free_port
from yunxin_soap.sandbox import Sandbox

_USER, _PASSWORD = "王芳", "for this test"
_RECORDS = """
from yunxin_soap import OutcomeUnknown
from yunxin_soap.django import get_client, get_ledger
ledger = get_ledger()
ledger.plan("spring", ["13900000001", "13900000002"], "春装上新【小店】", channel=37)
try:
    ledger.once.send(get_client(), "order-42", "13900000000", "您的订单已付款。")
except OutcomeUnknown:
    pass
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The example project's address; its ledger has a campaign, and a send without a response."""
    folder = tmp_path / "shop"
    shutil.copytree(TOP / "examples" / "django_shop", folder)
    with Sandbox() as gateway:
        gateway.inject_fault("close")
        environment = {
            **os.environ,
            "YUNXIN_ENDPOINT": gateway.url,
            "YUNXIN_USER_CODE": "demo",
            "YUNXIN_USER_PASS": "demo",
            "DJANGO_SUPERUSER_PASSWORD": _PASSWORD,
        }
        manage = [sys.executable, "manage.py"]
        for command in (
            ("migrate", "-v", "0"),
            ("createsuperuser", "--noinput", "--username", _USER, "--email", ""),
            ("shell", "-c", _RECORDS),
        ):
            subprocess.run([*manage, *command], cwd=folder, env=environment, check=True)
        port = free_port()
        server = subprocess.Popen(
            [*manage, "runserver", "--noreload", f"127.0.0.1:{port}"], cwd=folder, env=environment
        )
        try:
            wait_until(lambda: _listens(port), "the shop listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def keep(page: Page, name: str) -> None:
    """Keep a screenshot."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"admin-{name}.png")


def test_unknown_send_is_decided_in_the_admin(browser: Browser, shop: str) -> None:
    """It is listed with its reason, the decision is asked for, and the history names the user."""
    page = browser.new_page(locale="en-GB", viewport={"width": 1366, "height": 768})
    page.goto(f"{shop}/admin/")
    page.get_by_label("Username").fill(_USER)
    page.get_by_label("Password").fill(_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Unknown submissions").click()
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("order-42")
    expect(row).to_contain_text("13900000000")
    keep(page, "unknown")
    row.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("resolve_accepted")
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    expect(page.get_by_role("heading", name="Record that these were sent?")).to_be_visible()
    expect(page.locator("#content")).to_contain_text("order-42")
    found = Axe().run(page)  # the one page that is not made by Django
    assert found.violations_count == 0, found.generate_report()
    keep(page, "decision")
    page.get_by_role("button", name="Yes, I’m sure").click()
    expect(page.locator(".messagelist .success")).to_have_text("Done for 1.")
    expect(row).to_have_count(0)
    page.goto(f"{shop}/admin/yunxin/singlesend/")
    page.get_by_role("link", name="order-42").click()
    expect(page.locator(".field-state .readonly")).to_have_text("accepted")
    decided = page.locator(".field-by", has_text=_USER)
    expect(decided).to_have_count(1)
    assert page.locator("#content").get_by_role("button", name=re.compile("Save")).count() == 0
    keep(page, "history")
    page.goto(f"{shop}/admin/yunxin/campaign/")
    expect(page.locator("#result_list tbody tr")).to_contain_text("spring")
    keep(page, "campaigns")
    page.close()
