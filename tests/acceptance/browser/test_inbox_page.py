"""The inbox as a person uses it, in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any, Literal
from urllib.request import urlopen

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.acceptance.browser.conftest import SCREENSHOTS, origin_of
from tests.acceptance.foreign.peers import PEERS
from tests.support.raw_http import exchange, written
from tests.support.services import skip_or_fail
from yunxin_soap import Client, OutcomeUnknown, Rejected
from yunxin_soap.sandbox import Account, Sandbox
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.config import Channel
from yunxin_soap.sandbox.faults.model import FAULT_TYPES
from yunxin_soap.sandbox.gateway import ACCEPTED_THEN_ERROR

CUT_TEXTS = """
[...document.querySelectorAll('.row .badge, .row time, .row .to, #heads > *')].filter((each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  const { paddingLeft, paddingRight } = getComputedStyle(each);
  const padding = parseFloat(paddingLeft) + parseFloat(paddingRight);
  const room = each.getBoundingClientRect().width - padding;
  return range.getBoundingClientRect().width > room + 0.5;  // less is rounding
}).map((each) => each.textContent)
"""
TEXT = "您的验证码是1234，请勿告诉他人。【签名】"
BATCH = [f"1380000{number:04d}" for number in range(500)]


def origin_get(gateway: Sandbox, path: str) -> Any:
    with urlopen(origin_of(gateway) + path) as response:
        return json.load(response)


def send(gateway: Sandbox, message: str = TEXT, to: str | list[str] = "13900000000") -> str:
    with Client("demo", "demo", channel="37", endpoint=gateway.url) as client:
        return client.send(to, message).batch_no


def add(gateway: Sandbox, count: int, first: int = 0) -> None:
    """Store arrivals of the last hours, as fast as the store takes them."""
    start = datetime.now(timezone.utc) - timedelta(seconds=count)
    for number in range(first, first + count):
        rejected = number % 50 == 3
        gateway.store.add(
            Arrival(
                received_at=start + timedelta(seconds=number),
                outcome=Outcome.REJECTED if rejected else Outcome.ACCEPTED,
                result="-14" if rejected else str(number + 1),
                batch_no=None if rejected else str(number + 1),
                http_status=200,
                remote="127.0.0.1",
                protocol="soap",
                user_code="demo",
                recipients=(f"137{number:08d}",),
                message=f"第{number + 1}条：您的订单已发货，请注意查收。【商城】",
                channel="37",
            )
        )


def send_each_outcome(gateway: Sandbox) -> None:
    """Send what ends in every way that the page can show; the batch comes last."""
    send(gateway)
    with pytest.raises(Rejected):
        send(gateway, to="15499990007")
    with pytest.raises(OutcomeUnknown):
        send(gateway, "您的订单 A&B <12> 已发货【商城】", ACCEPTED_THEN_ERROR)
    gateway.inject_fault("error", when="before")
    with pytest.raises(OutcomeUnknown):
        send(gateway, "未被接受的短信【商城】", "13900000003")
    exchange(gateway, written("GET", "/api/MsgSend.asmx/sendMesExt?Msg=x"))
    send(gateway, "尊敬的用户，" + "您的订单已发货，请注意查收。" * 6 + "【商城】", BATCH)


def rows_of(page: Page) -> Locator:
    return page.locator("#rows li")


def open_row(page: Page, index: int = 0) -> Locator:
    """Open a row of the list, and return the opened message."""
    row = rows_of(page).nth(index).locator("a")
    number = re.search("id=([0-9]+)", row.get_attribute("href") or "")
    assert number is not None
    row.click()
    opened = page.locator(f"#message .opened[data-id='{number[1]}']")
    opened.wait_for()
    return opened


@contextmanager
def open_page(
    browser: Browser, gateway: Sandbox, path: str = "/", **options: Any
) -> Iterator[Page]:
    """Open the page in a browser of its own, with a clipboard."""
    context = browser.new_context(**{"locale": "en-GB", **options})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin_of(gateway))
    page = context.new_page()
    page.goto(origin_of(gateway) + path)
    page.locator("#connection.on").wait_for()
    yield page
    context.close()


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_page_submission_from_php_appears_and_opens(page: Page, gateway: Sandbox) -> None:
    """An arrival appears without a reload, says the most in its row, and all once opened."""
    php = PEERS[0]
    if reason := php.missing():
        skip_or_fail(reason)
    fields = {
        "userCode": "demo",
        "userPass": "demo",
        "DesNo": "13900000000,13900000001",
        "Msg": TEXT,
        "Channel": "37",
        "ExeNo": "9",
    }
    expect(page.get_by_text("Nothing has arrived yet.")).to_be_visible()
    with php.start(gateway.url) as ask:
        batch_no = ask(fields)
        expect(rows_of(page)).to_have_count(1)  # without a reload
    row = rows_of(page)
    for text in ("accepted", "139 0000 0000", "+1", "您的验证码是1234", "demo", "1 × 2"):
        expect(row).to_contain_text(text)
    opened = open_row(page)
    expect(page.locator("#message h2")).to_have_text("139 0000 0000 +1")
    expect(opened.locator(".sender strong")).to_have_text("签名")
    expect(opened.locator(".bubble")).to_have_text(TEXT)
    expect(opened.locator(".signature")).to_have_text("【签名】")
    expect(opened).to_contain_text(batch_no)
    expect(opened).to_contain_text("1 × 2 = 2 (22 characters)")
    expect(opened.locator(".numbers li")).to_have_text(["139 0000 0000", "139 0000 0001"])
    expect(page.locator(".request.as-it-was")).to_contain_text("userPass>***<")
    expect(page.locator(".response.as-it-was")).to_contain_text(batch_no)


def test_page_each_outcome_has_one_badge_and_its_reason(page: Page, gateway: Sandbox) -> None:
    """Refused ones look refused, a lost answer is one badge, a test number says so."""
    send_each_outcome(gateway)
    rows = rows_of(page)
    expect(rows).to_have_count(6)
    expect(rows.locator(".badge")).to_have_text(
        [
            "accepted",
            "malformed",
            "failed: error",
            "accepted → error",
            "rejected -7",
            "accepted",
        ]
    )
    expect(rows.nth(0).locator(".segments")).to_have_text("2 × 500")
    expect(rows.nth(1)).to_contain_text("Missing parameter: userCode.")
    expect(rows.nth(3)).to_contain_text("test number")
    expect(rows.nth(4)).to_contain_text("test number")
    said = rows.nth(4).locator(".said")
    assert "line-through" in said.evaluate("node => getComputedStyle(node).textDecoration")
    opened = open_row(page, 4)
    expect(opened.locator(".badges")).to_have_text("rejected -7test number")
    expect(opened).to_contain_text("-7the balance is too low")
    expect(opened.locator(".phone")).to_contain_text("Not accepted: no SMS goes out")
    opened = open_row(page, 3)
    expect(opened.locator(".facts")).to_contain_text("Then the fault kept the answer")
    expect(opened.locator(".bubble")).to_have_text("您的订单 A&B <12> 已发货【商城】")
    # Entities and percent-encoding are decoded beside the raw text.
    expect(page.locator(".request.as-it-was")).to_contain_text("A&amp;B &lt;12&gt;")
    expect(page.locator(".request.decoded")).to_contain_text("A&B <12>")
    with Client("demo", "demo", channel="37", endpoint=gateway.url, protocol="http-get") as client:
        client.send("13900000000", TEXT)
    page.get_by_role("button", name="1 new").click()
    expect(rows).to_have_count(7)
    open_row(page)
    expect(page.locator(".request.as-it-was")).to_contain_text("Msg=%E6%82%A8")
    expect(page.locator(".request.decoded")).to_contain_text(f"Msg = {TEXT}")
    expect(page.locator(".request.decoded")).to_contain_text("userPass = ***")


def test_page_html_in_an_arrival_stays_text(page: Page, gateway: Sandbox) -> None:
    """Neither a message nor a user code becomes HTML."""
    nasty = "../../<img src=x onerror=alert(1)>"
    message = "<script>alert(1)</script><b>x</b>【<i>签名</i>】"
    gateway.add_account(Account(nasty, "demo"))
    with Client(nasty, "demo", channel="37", endpoint=gateway.url) as client:
        client.send("13900000000", message)
    page.locator("#q").fill("<b>")
    expect(rows_of(page).locator("mark")).to_have_text("<b>")
    opened = open_row(page)
    expect(opened.locator(".bubble")).to_have_text(message)
    expect(opened).to_contain_text(nasty)
    assert page.locator("main :is(script, img, b, i)").count() == 0


def test_page_longest_search_stays_in_the_address(page: Page, gateway: Sandbox) -> None:
    """The field takes no more text than an address can carry, whatever its characters."""
    send_each_outcome(gateway)
    expect(rows_of(page)).to_have_count(6)
    page.locator("#q").focus()
    page.keyboard.insert_text("字" * 2000)
    expect(page.get_by_text("Nothing matches this search.")).to_be_visible()
    written = page.locator("#q").input_value()
    page.reload()
    expect(page.locator("#q")).to_have_value(written)


def test_page_search_completes_marks_and_stays_in_the_address(page: Page, gateway: Sandbox) -> None:
    """Terms are completed, hits are marked, and the address keeps both search and message."""
    send_each_outcome(gateway)
    rows = rows_of(page)
    expect(rows).to_have_count(6)
    field, suggestions = page.locator("#q"), page.get_by_role("option")
    field.press_sequentially("ou")
    expect(suggestions).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("outcome:")
    expect(suggestions).to_have_count(4)
    suggestions.filter(has_text="rejected").click()
    expect(field).to_have_value("outcome:rejected ")
    expect(rows).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 of 6 requests")
    field.fill("code:")
    expect(suggestions.first).to_contain_text("-1")
    expect(rows).to_have_count(6)  # a term that has just begun is none yet
    field.fill("account:")
    expect(suggestions).to_have_text(["demo"])
    field.fill("before:")
    expect(suggestions).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("#suggestions")).to_be_hidden()
    field.fill("to:3800000499 订单 account:demo")
    expect(rows).to_have_count(1)
    # Among 500 numbers the one that was searched for comes first.
    expect(rows.locator(".number")).to_have_text("138 0000 0499")
    expect(rows.locator(".number mark")).to_have_text("38 0000 0499")
    assert set(rows.locator(".said mark").all_text_contents()) == {"订单"}
    expect(rows.locator(".account mark")).to_have_text("demo")
    opened = open_row(page)
    expect(opened.locator(".bubble mark").first).to_have_text("订单")
    expect(opened.locator(".numbers mark")).to_have_text(["38 0000 0499"])
    address = page.url
    page.reload()
    expect(field).to_have_value("to:3800000499 订单 account:demo")
    expect(rows).to_have_count(1)
    expect(page.locator(".bubble mark").first).to_have_text("订单")
    page.go_back()  # closes the message
    expect(page.locator("#message")).to_contain_text("No message is open.")
    page.go_back()  # to what was shown before the search
    expect(field).to_have_value("")
    expect(rows).to_have_count(6)
    page.goto(address)  # the link of a message
    expect(page.locator("#message h2")).to_have_text("138 0000 0000 +499")
    field.fill("outcom:accepted")
    expect(page.locator("#problem")).to_contain_text("has no term outcom:")
    field.fill("不在里面")
    expect(page.get_by_text("Nothing matches this search.")).to_be_visible()
    expect(page.locator("#problem")).to_have_text("")
    page.get_by_role("link", name="Show all").click()
    expect(rows).to_have_count(6)


def test_page_arrivals_do_not_move_what_is_being_read(page: Page, gateway: Sandbox) -> None:
    """At the top new rows appear; further down the rows stay, and a button counts the new ones."""
    add(gateway, 200)
    expect(rows_of(page).first).to_contain_text("第200条")
    expect(page.locator("#fresh")).to_be_hidden()
    scroll = page.locator("#scroll")
    scroll.evaluate("node => { node.scrollTop = 1500; }")
    row = page.get_by_text("第140条").first
    row.wait_for()
    before = row.bounding_box()
    send(gateway)
    add(gateway, 2, first=200)
    expect(page.locator("#fresh")).to_have_text("↑ 3 new")
    assert row.bounding_box() == before
    expect(page.locator("#count")).to_have_text("203 requests")
    page.locator("#fresh").click()
    expect(page.locator("#fresh")).to_be_hidden()
    expect(rows_of(page).first).to_contain_text("第202条")
    # The opened message stays open, and its row has the focus: the rows wait again.
    open_row(page, 1)
    send(gateway)
    expect(page.locator("#fresh")).to_have_text("↑ 1 new")
    expect(page.locator("#message h2")).to_contain_text("137 0000 0200")
    expect(page.locator("[aria-current=true]")).to_contain_text("137 0000 0200")


def test_page_copies_what_people_need_and_downloads(browser: Browser, gateway: Sandbox) -> None:
    """Number, code, batch number, link and curl are one click; downloads have what was found."""
    batch_no = send(gateway)
    for protocol in ("http-get", "http-post", "soap12"):
        with Client(
            "demo", "demo", channel="37", endpoint=gateway.url, protocol=protocol
        ) as client:
            client.send("13900000001", 'it\'s 100% <您> & "好"【签名】')
    with open_page(browser, gateway) as page:
        expect(rows_of(page)).to_have_count(4)
        open_row(page, 3)
        for name, expected in (
            ("Copy the number", "13900000000"),
            ("Copy the batch number", batch_no),
            ("Copy a link to this message", page.url),
        ):
            page.get_by_role("button", name=name).click()
            expect(page.locator("#said")).to_have_text("Copied")
            assert clipboard(page) == expected
        page.locator(".code button").click()
        expect(page.locator(".code button")).to_have_text("Copied")
        assert clipboard(page) == "1234"
        for arrival in gateway.arrivals:
            page.goto(f"{origin_of(gateway)}/?id={arrival.id}")
            page.get_by_role("button", name="Copy as curl").click()
            expect(page.locator(".curl button")).to_have_text("Copied")
            command = clipboard(page)
            assert "PASSWORD" in command
            run = subprocess.run(
                command, shell=True, capture_output=True, text=True, check=True, timeout=20
            )
            assert "-3<" in run.stdout  # the placeholder is no password
            with_password = command.replace("PASSWORD", "demo")
            subprocess.run(with_password, shell=True, capture_output=True, check=True, timeout=20)
            again = gateway.arrivals[-1]
            assert (again.outcome, again.message) == (Outcome.ACCEPTED, arrival.message)
        page.locator("#q").fill("outcome:accepted")
        expect(page.locator("#count")).to_contain_text("8 of 12")
        for form in ("CSV", "JSON"):
            with page.expect_download() as download:
                page.get_by_role("link", name=form).click()
            assert download.value.suggested_filename == f"arrivals.{form.lower()}"
            text = download.value.path().read_text("utf-8")
            assert batch_no in text
            assert "rejected" not in text


def test_page_without_arrivals_shows_how_to_send(browser: Browser, gateway: Sandbox) -> None:
    """Each sample sends to this sandbox as it stands."""
    commands = {"curl": ["sh", "-c"], "python": [sys.executable, "-c"], "php": ["php", "-r"]}
    if reason := PEERS[0].missing():
        skip_or_fail(reason)
    with open_page(browser, gateway) as page:
        for name, command in commands.items():
            page.locator(".samples section", has=page.locator(f".{name}")).get_by_role(
                "button"
            ).click()
            sample = clipboard(page).removeprefix("<?php\n")
            gateway.clear()
            run = subprocess.run(
                [*command, sample], capture_output=True, text=True, check=True, timeout=30
            )
            (arrival,) = gateway.inbox
            assert (arrival.batch_no or "-") in run.stdout
            expect(rows_of(page)).to_have_count(1)
            gateway.clear()
            expect(page.get_by_text("Nothing has arrived yet.")).to_be_visible()


def test_page_samples_have_an_account_of_the_sandbox(browser: Browser, gateway: Sandbox) -> None:
    """They need its password alone, which the page does not know, and have the base path."""
    name, channel = "o'ne \\ two", "42"
    gateway.gateway.accounts = [Account(name, "secret", channels=(Channel(channel),))]
    commands = {"curl": ["sh", "-c"], "python": [sys.executable, "-c"], "php": ["php", "-r"]}
    if reason := PEERS[0].missing():
        skip_or_fail(reason)
    with open_page(browser, gateway) as page:
        expect(page.locator(".samples > p")).to_have_text(
            "Replace PASSWORD with the account’s password."
        )
        for kind, command in commands.items():
            sample = page.locator(f".samples .{kind}").text_content() or ""
            assert sample.count("PASSWORD") == 1
            subprocess.run(
                [*command, sample.replace("PASSWORD", "secret").removeprefix("<?php\n")],
                check=True,
                capture_output=True,
                timeout=30,
            )
        sent = [(each.user_code, each.channel) for each in gateway.inbox]
        assert sent == [(name, channel)] * len(commands)


def test_page_samples_without_an_account_say_so(browser: Browser, gateway: Sandbox) -> None:
    """No sample is shown that the gateway would reject."""
    gateway.gateway.accounts = []
    with open_page(browser, gateway) as page:
        expect(page.locator(".samples")).to_have_text("The sandbox has no account with a channel.")


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("width", [390, 1024, 1280, 1440])
def test_page_cuts_no_outcome(browser: Browser, gateway: Sandbox, locale: str, width: int) -> None:
    """The badge of the fault with the longest name is whole, as are the list's heads and times."""
    longest = max((each for each in FAULT_TYPES if each != "refuse"), key=len)
    gateway.inject_fault(longest)
    with suppress(OutcomeUnknown):
        send(gateway)
    with open_page(
        browser, gateway, locale=locale, viewport={"width": width, "height": 800}
    ) as page:
        expect(rows_of(page).locator(".badge")).to_contain_text(longest)
        cut = page.evaluate(CUT_TEXTS)
    assert cut == []


def test_page_clear_asks_and_says_what_becomes_of_the_faults(page: Page, gateway: Sandbox) -> None:
    """Clear deletes nothing before its dialog is answered; faults go or stay as chosen."""
    send(gateway)
    gateway.inject_fault("error")
    expect(page.locator("#active-count")).to_have_text("1")
    dialog, button = page.locator("#clear-dialog"), page.locator("#clear")
    button.click()
    expect(dialog).to_contain_text("Deletes all 1 requests")
    dialog.get_by_role("button", name="Cancel").click()
    expect(rows_of(page)).to_have_count(1)
    button.click()
    dialog.get_by_text("Remove the injected faults too (1)").click()
    dialog.get_by_role("button", name="Clear").click()
    expect(rows_of(page)).to_have_count(0)
    assert (gateway.arrivals, len(gateway.faults.statuses())) == ((), 1)
    button.click()
    dialog.get_by_text("Remove the injected faults too (1)").click()
    dialog.get_by_role("button", name="Clear").click()
    expect(page.locator("#active-count")).to_be_hidden()
    assert len(gateway.faults.statuses()) == 0


def test_page_language_and_theme_are_switched_and_remembered(page: Page, gateway: Sandbox) -> None:
    """Every text changes at once, errors of the server too; a reload keeps both choices."""
    send(gateway, to="13900000000")
    with suppress(Rejected):
        send(gateway, to="15499990014")
    expect(rows_of(page)).to_have_count(2)
    open_row(page)
    page.locator("#q").fill("code:x")
    expect(page.locator("#problem")).to_contain_text("has a code that is no number")
    page.locator("#language").click()
    expect(page.locator("#problem")).to_have_text(
        "查询：q 中的错误码不是数字：code: 之后请写 -7 这样的错误码。"
    )
    page.locator("#theme").click()
    page.locator("#theme").click()
    for _ in range(2):
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.locator("#message .facts")).to_contain_text("用户黑名单")
        expect(page.locator("#connection")).to_contain_text("实时")
        assert page.title() == "云信沙箱"
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert all(int(level) < 64 for level in re.findall("[0-9]+", background)[:3])
        page.goto(page.url.replace("q=code%3Ax&", ""))
    page.goto(f"{origin_of(gateway)}/?id=99")
    expect(page.locator("#message [role=alert]")).to_have_text(
        "没有第 99 条请求，或内存中已不保留。"
    )


def test_page_in_a_chinese_browser_is_chinese(browser: Browser, gateway: Sandbox) -> None:
    """The page uses the browser's first language."""
    with open_page(browser, gateway, locale="zh-CN") as page:
        expect(page.get_by_text("还没有收到短信。")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_page_keyboard_moves_searches_helps_and_closes(page: Page, gateway: Sandbox) -> None:
    """j and k open messages, / searches, ? helps, Escape closes one thing at a time."""
    add(gateway, 60)
    expect(page.locator("#count")).to_have_text("60 requests")
    title = page.locator("#message h2")
    page.keyboard.press("j")
    expect(title).to_have_text("137 0000 0059")
    for _ in range(28):
        page.keyboard.press("j")
    expect(title).to_have_text("137 0000 0031")
    expect(page.locator("[aria-current=true]")).to_be_in_viewport()
    expect(page.locator("[aria-current=true]")).to_be_focused()
    page.keyboard.press("k")
    expect(title).to_have_text("137 0000 0032")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("15499991000")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    expect(title).to_have_text("137 0000 0032")
    page.keyboard.press("Escape")
    expect(page.locator("#message")).to_contain_text("No message is open.")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("第60条")
    expect(page.locator("#count")).to_have_text("1 of 60 requests")


def test_page_ten_thousand_arrivals_are_all_within_reach(page: Page, gateway: Sandbox) -> None:
    """The list scrolls through all arrivals with few rows, and counts dropped ones."""
    add(gateway, gateway.store.limits.max_arrivals + 5)
    expect(page.locator("#count")).to_have_text("10,000 requests · 5 older ones were dropped")
    page.locator("#scroll").evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
    expect(page.get_by_text("第5000条")).to_be_visible()
    page.locator("#scroll").evaluate("node => { node.scrollTop = node.scrollHeight; }")
    expect(page.get_by_text("第6条")).to_be_visible()
    assert rows_of(page).count() < 60
    page.locator("#q").fill("第6条")
    expect(page.locator("#count")).to_contain_text("1 of 10,000 requests")
    send(gateway)  # one more that does not match the search drops the one that does
    expect(page.locator("#count")).to_have_text("0 of 10,000 requests · 6 older ones were dropped")
    expect(page.get_by_text("Nothing matches this search.")).to_be_visible()


def test_page_failed_search_does_not_stop_updates(page: Page, gateway: Sandbox) -> None:
    """After a failed search the page still shows new arrivals."""
    page.route("**/api/v1/arrivals/ids?q=*", lambda route: route.fulfill(status=400, body="<html>"))
    page.locator("#q").fill("x")
    expect(page.locator("#problem")).to_have_text("HTTP 400")
    page.unroute_all()
    page.locator("#q").fill("")
    expect(page.locator("#problem")).to_have_text("")
    send(gateway, "x【签名】")
    expect(rows_of(page)).to_have_count(1)


def test_page_under_a_public_name_shows_the_error(browser: Browser, gateway: Sandbox) -> None:
    """A page that the guard rejects says which name is wrong."""
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(origin_of(gateway).replace("127.0.0.1", "sms.example.com"))
    expect(page.locator("#connection")).to_contain_text(
        "the host name sms.example.com could be used for DNS rebinding"
    )
    context.close()


def test_page_below_a_path_of_a_proxy_works(browser: Browser, gateway: Sandbox) -> None:
    """Every address of the page is relative: list, events, links, samples and downloads."""
    context = browser.new_context(locale="en-GB")

    def strip(route: Route) -> None:
        route.continue_(url=route.request.url.replace("/staging/sms/", "/"))

    context.route("**/staging/sms/**", strip)
    page = context.new_page()
    outside: list[str] = []
    page.on(
        "request",
        lambda request: None if "/staging/sms/" in request.url else outside.append(request.url),
    )
    page.goto(f"{origin_of(gateway)}/staging/sms/")
    expect(page.locator("#empty .sample.curl")).to_contain_text(
        "/staging/sms/api/MsgSend.asmx/sendMesExt"
    )
    send(gateway)
    open_row(page)
    expect(page.locator(".bubble")).to_have_text(TEXT)
    assert page.url.startswith(f"{origin_of(gateway)}/staging/sms/?")
    page.keyboard.press("Escape")
    page.wait_for_url("**/staging/sms/")
    href = page.locator("#csv").evaluate("link => link.href")
    assert href == f"{origin_of(gateway)}/staging/sms/api/v1/arrivals.csv"
    assert not [each for each in outside if not each.startswith("data:")]
    context.close()


# --- Faults ---


def open_faults(page: Page) -> Locator:
    """Open the panel of faults, and return the injected ones."""
    page.locator("#faults-link").click()
    expect(page.locator("#fault")).to_be_visible()
    return page.locator("#fault-list li:not(.none)")


def test_page_fault_injected_by_the_form_is_triggered_and_removed(
    page: Page, gateway: Sandbox
) -> None:
    """The form injects and removes a fault, and shows the error of an invalid one."""
    faults = open_faults(page)
    page.locator("[name=kind]").select_option("code")
    page.locator("[name=code]").fill("-7")
    page.locator("[name=times]").fill("2")
    page.get_by_role("button", name="Inject").click()
    expect(faults).to_have_count(1)
    with pytest.raises(Rejected):
        send(gateway)
    faults.get_by_role("button", name="Remove").click()
    expect(faults).to_have_count(0)
    assert send(gateway)
    page.locator("[name=code]").fill("7")
    page.get_by_role("button", name="Inject").click()
    expect(page.locator("#fault-problem")).to_contain_text("code must look like")
    page.locator("#language").click()
    page.get_by_role("button", name="注入").click()
    expect(page.locator("#fault-problem")).to_have_text(
        "故障 'code'：code 应写成 -14 或 -6:促销 这样，而不是 '7'。"
    )


def test_page_fault_injected_elsewhere_appears_and_keeps_its_button(
    page: Page, gateway: Sandbox
) -> None:
    """A fault from Python appears, counts, and stays; its button is never replaced."""
    gateway.inject_fault("code", code="-7", times=2)
    expect(page.locator("#active-count")).to_have_text("1")
    fault = open_faults(page)
    expect(fault).to_contain_text("triggered 0 / 2")
    button = fault.get_by_role("button", name="Remove").element_handle()
    assert button is not None
    for count in (1, 2):
        with pytest.raises(Rejected):
            send(gateway)
        expect(fault).to_contain_text(f"triggered {count} / 2")
    expect(fault).to_contain_text("exhausted")
    expect(page.locator("#active-count")).to_be_hidden()
    page.reload()  # the panel is in the address
    expect(fault).to_have_count(1)
    fault.get_by_role("button", name="Remove").click()
    expect(fault).to_have_count(0)


def test_page_form_explains_the_options_of_each_kind(page: Page, gateway: Sandbox) -> None:
    """Kinds, stages, options and their explanations are those of the models, in both languages."""
    open_faults(page)
    page.get_by_text("Which submissions").click()
    kinds = page.locator("[name=kind] option")
    assert [each.get_attribute("value") for each in kinds.all()] == [*FAULT_TYPES]
    schemas = origin_get(gateway, "/api/v1/openapi.json")["components"]["schemas"]
    read = """() => Object.fromEntries([...document.querySelectorAll('#fault [data-kinds]')]
        .filter((field) => field.offsetParent).map((field) => [field.dataset.option,
        ['label', 'small'].map((tag) => field.querySelector(tag).textContent)]))"""
    for kind, ref in schemas["NewFault"]["discriminator"]["mapping"].items():
        page.locator("[name=kind]").select_option(kind)
        schema = schemas[ref.rpartition("/")[2]]
        expect(page.locator("#kind-hint")).to_have_text(schema["description"])
        options = dict(schema["properties"])
        del options["kind"]
        when = options.pop("when")
        enabled = page.locator("[name=when] option:not([disabled])")
        stages = when.get("enum", [when.get("const")])
        assert {each.get_attribute("value") for each in enabled.all()} == set(stages)
        shown = page.evaluate(read)
        assert {name: hint for name, (_, hint) in shown.items()} == {
            name: option["description"] for name, option in options.items()
        }
        assert all(label for label, _ in shown.values())
    page.locator("#language").click()
    for label, hint in page.evaluate(read).values():
        assert re.search("[\u4e00-\u9fff]", label + hint)
    page.locator("[name=kind]").select_option("balance")
    page.locator("[name=left]").fill("1")
    page.get_by_role("button", name="注入").click()
    expect(page.locator("#fault-list li:not(.none)")).to_have_count(1)
    assert send(gateway)
    for _ in range(2):
        with pytest.raises(Rejected):
            send(gateway)


def test_page_fault_limited_to_some_submissions_has_these_options(
    page: Page, gateway: Sandbox
) -> None:
    """The form sends the selection of submissions, and the list shows it."""
    faults = open_faults(page)
    expect(page.locator("[name=code]")).to_be_hidden()
    page.locator("[name=kind]").select_option("html")
    expect(page.locator("[name=status]")).to_be_visible()
    for seconds in page.locator("[name=seconds]").all():
        expect(seconds).to_be_hidden()
    page.get_by_text("Which submissions").click()
    page.locator("[name=numbers]").fill("13900000001，13900000002")
    page.locator("[name=user_code]").fill("demo")
    page.locator("[name=protocol]").select_option("soap")
    page.locator("[name=text]").fill("验证码")
    page.locator("[name=skip]").fill("1")
    page.get_by_role("button", name="Inject").click()
    expect(faults).to_have_text(
        "htmlstatus=502 · numbers=13900000001+13900000002 · user_code=demo · protocol=soap"
        " · text=验证码 · skip=1 · after processingtriggered 0 / 1Remove"
    )
    (made,) = origin_get(gateway, "/api/v1/faults")
    assert made | {"id": 1} == {
        "id": 1,
        "triggered": 0,
        "exhausted": False,
        "kind": "html",
        "when": "after",
        "status": 502,
        "numbers": ["13900000001", "13900000002"],
        "user_code": "demo",
        "protocol": "soap",
        "text": "验证码",
        "skip": 1,
        "times": 1,
        "probability": 1,
        "seed": 0,
    }


# --- The look ---

SCREENS = {
    "desktop": (1920, 1080),
    "laptop": (1366, 768),
    "small-laptop": (1280, 768),
    "phone": (390, 844),
}
WHOLE_ROWS = {"desktop": 30, "laptop": 20, "small-laptop": 20, "phone": 8}
Scheme = Literal["light", "dark"]
LOOKS: list[tuple[Scheme, str]] = [
    ("light", "en"),
    ("light", "zh-CN"),
    ("dark", "en"),
    ("dark", "zh-CN"),
]


def switch(page: Page, scheme: Scheme, language: str) -> None:
    """Switch the page to a theme and a language, as its buttons do."""
    page.emulate_media(color_scheme=scheme)
    if page.locator("html").get_attribute("lang") != language:
        page.locator("#language").dispatch_event("click")


@pytest.mark.parametrize("screen", SCREENS)
def test_page_is_dense_and_fits_each_screen(browser: Browser, screen: str) -> None:
    """Enough rows are whole, nothing is cut off or too wide; screenshots show every view."""
    width, height = SCREENS[screen]
    SCREENSHOTS.mkdir(exist_ok=True)

    def look(page: Page, view: str) -> None:
        for scheme, language in LOOKS:
            switch(page, scheme, language)
            overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 0, view
            name = f"inbox-{view}-{screen}-{scheme}-{language[:2]}.png"
            page.screenshot(path=SCREENSHOTS / name)

    with (
        Sandbox() as sandbox,
        open_page(browser, sandbox, viewport={"width": width, "height": height}) as page,
    ):
        look(page, "empty")
        add(sandbox, 4994)
        send_each_outcome(sandbox)
        last = sandbox.store.last_id
        page.goto(origin_of(sandbox))
        expect(rows_of(page).first).to_contain_text("+499")
        bottoms = page.evaluate(
            "[...document.querySelectorAll('#rows li')]"
            ".map((row) => row.getBoundingClientRect().bottom)"
        )
        assert sum(bottom <= height for bottom in bottoms) >= WHOLE_ROWS[screen]
        cut_off = page.evaluate(
            "[...document.querySelectorAll('#rows :is(.to, .badge, time)')].filter((node) =>"
            " node.clientWidth && node.scrollWidth > node.clientWidth)"
            ".map((node) => node.outerHTML)"
        )
        assert cut_off == []
        look(page, "list")
        outcomes = ("batch", "malformed", "failed", "lost", "rejected", "accepted")
        for back, view in enumerate(outcomes):
            page.goto(f"{origin_of(sandbox)}/?id={last - back}")
            page.locator("#message .opened").wait_for()
            look(page, view)
        page.goto(f"{origin_of(sandbox)}/?panel=faults")
        look(page, "faults")


def check_accessibility(page: Page, view: str) -> None:
    """Fail if axe finds a violation in either theme or language."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for scheme, language in (LOOKS[0], LOOKS[3]):
        switch(page, scheme, language)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        said = [(each["id"], [node["html"] for node in each["nodes"][:3]]) for each in found]
        assert not said, (view, scheme, language)


def test_page_has_no_accessibility_violation(browser: Browser, gateway: Sandbox) -> None:
    """In no view, theme or language does axe find a violation."""
    with open_page(browser, gateway, viewport={"width": 1366, "height": 768}) as page:
        check_accessibility(page, "empty")
        send_each_outcome(gateway)
        expect(rows_of(page)).to_have_count(6)
        open_row(page, 4)
        check_accessibility(page, "rejected")
        gateway.inject_fault("delay", seconds=1)
        open_faults(page)
        page.locator("#fault details summary").click()
        check_accessibility(page, "faults")
        for button in ("#help-button", "#clear"):
            page.locator(button).click()
            check_accessibility(page, button)
            page.keyboard.press("Escape")
        page.locator("#faults .back").click()
        page.locator("#q").fill("订单")
        expect(rows_of(page)).to_have_count(2)
        open_row(page, 1)
        check_accessibility(page, "hits")
        page.locator("#q").fill("to:1390000 out")
        expect(page.locator("#suggestions")).to_be_visible()
        check_accessibility(page, "nothing found, with suggestions")
        page.set_viewport_size({"width": 390, "height": 844})
        check_accessibility(page, "phone")
