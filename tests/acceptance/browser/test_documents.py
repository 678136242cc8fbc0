"""The built documents in a browser, without a network: search, and the switch of the language.

``nox -s docs`` builds them and runs this; `YUNXIN_TEST_DOCS` names their folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

BUILT = os.environ.get("YUNXIN_TEST_DOCS", "")
pytestmark = pytest.mark.skipif(not BUILT, reason="the documents are built by nox -s docs")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a network; a request for anything but a file fails the test."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url.partition(":")[0]))
    yield page
    context.close()
    assert asked <= {"file", "data"}


def address(name: str) -> str:
    """Return the address of a file."""
    return (Path(BUILT).resolve() / name).as_uri()


@pytest.mark.parametrize(
    ("language", "words", "leads_to"),
    [
        ("en", "outcome unknown", "Outcomes"),
        ("en", "resolve", "Campaigns"),
        ("en", "YUNXIN_WSDL_CACHE", "Environment variables"),
        ("zh_CN", "结果未知", "四种结果"),
        ("zh_CN", "沙箱", "沙箱"),
        ("zh_CN", "enqueue", "Django"),
    ],
)
def test_search_finds_pages_from_files_alone(
    page: Page, language: str, words: str, leads_to: str
) -> None:
    """A reader who opens the built files finds a page by its words, in either language."""
    page.goto(address(f"{language}/index.html"))
    box = page.locator("input[name=q]").first
    box.fill(words)
    box.press("Enter")
    found = page.locator("#search-results ul.search > li > a")
    expect(found.filter(has_text=leads_to).first).to_be_visible()
    found.filter(has_text=leads_to).first.click()
    expect(page.locator("h1")).to_be_visible()


def test_language_switch_leads_to_the_same_page(page: Page) -> None:
    """Each page leads to itself in the other language."""
    page.goto(address("en/tutorial/first-send.html"))
    page.get_by_role("link", name="中文").click()
    expect(page).to_have_url(address("zh_CN/tutorial/first-send.html"))
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("link", name="English").click()
    expect(page).to_have_url(address("en/tutorial/first-send.html"))
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize(
    ("language", "picture"), [("en", "inbox.png"), ("zh_CN", "inbox.zh-CN.png")]
)
def test_page_shows_the_pictures_of_its_language(page: Page, language: str, picture: str) -> None:
    """A page in Chinese shows the inbox in Chinese; every picture of the page is there."""
    page.goto(address(f"{language}/how-to/sandbox.html"))
    pictures = page.locator("article img")
    shown = pictures.evaluate_all("all => all.map(each => [each.src, each.naturalWidth])")
    assert all(width for _, width in shown)
    assert Path(shown[0][0]).name == picture
