"""A headless Chromium, and a page in it that shows the inbox of its own sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.support.services import skip_or_fail
from yunxin_soap.sandbox import Sandbox

SCREENSHOTS = Path(__file__).parents[3] / "artefacts"
"""The folder for screenshots; git ignores it."""


def origin_of(gateway: Sandbox) -> str:
    """Return the address of a sandbox's page, without its last slash."""
    return gateway.url.partition("/api/")[0]


@pytest.fixture(scope="module")  # a wider scope would leave an event loop running in this thread
def browser() -> Iterator[Browser]:
    """The installed Chromium, with its background network requests disabled."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        skip_or_fail("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--host-resolver-rules=MAP sms.example.com 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def gateway() -> Iterator[Sandbox]:
    """A sandbox that only this test sends to."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def page(browser: Browser, gateway: Sandbox) -> Iterator[Page]:
    """The inbox in English, connected to the events; an error in its script fails the test."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def check(message: ConsoleMessage) -> None:
        # The browser also logs failures that the page handles: an arrival that is not kept, an
        # invalid fault or search, and events that came faster than it could read.
        expected = (
            "status of 400",
            "status of 404",
            "status of 422",
            "ERR_INCOMPLETE_CHUNKED_ENCODING",
        )
        if message.type == "error" and not any(each in message.text for each in expected):
            errors.append(message.text)

    page.on("console", check)
    page.goto(origin_of(gateway))
    page.locator("#connection.on").wait_for()
    yield page
    context.close()
    assert not errors
