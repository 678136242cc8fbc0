"""The inbox as a person uses it, in a real browser."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser.conftest import SCREENSHOTS
from tests.acceptance.foreign.peers import PEERS
from tests.support.raw_http import exchange, written
from tests.support.services import skip_or_fail
from yunxin_soap import Client, Rejected
from yunxin_soap.sandbox import Account, Sandbox
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.faults.model import FAULT_TYPES

TEXT = "您的验证码是1234，请勿告诉他人。【签名】"


def origin_get(gateway: Sandbox, path: str) -> Any:
    with urlopen(gateway.url.partition("/api/")[0] + path) as response:
        return json.load(response)


def send(gateway: Sandbox, message: str = TEXT, to: str = "13900000000") -> str:
    with Client("demo", "demo", channel="37", endpoint=gateway.url) as client:
        return client.send(to, message).batch_no


def test_page_submission_from_php_appears_and_is_found(page: Page, gateway: Sandbox) -> None:
    """An arrival appears without a reload; search, filter, details and clearing work."""
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
    cards = page.locator("article")
    expect(cards).to_have_count(0)
    with php.start(gateway.url) as ask:
        batch_no = ask(fields)
        expect(cards).to_have_count(1)  # without a reload
    card = cards.first
    expect(card).to_contain_text(batch_no)
    expect(card).to_contain_text("accepted")
    expect(card.locator("mark")).to_have_text("【签名】")
    expect(card).to_contain_text("channel 37")
    expect(card).to_contain_text("22 characters, 1 segment (an estimate)")
    card.get_by_role("button", name="2 numbers").click()
    expect(card.locator(".numbers")).to_have_text("13900000000 13900000001")
    card.get_by_text("Raw request and response").click()
    expect(card.locator(".request")).to_contain_text("userPass>***<")
    expect(card.locator(".response")).to_contain_text(batch_no)

    send(gateway, "另一条短信【签名】", "13900000002")
    expect(cards).to_have_count(2)
    page.get_by_label("Search").fill("验证码")
    expect(cards).to_have_count(1)
    expect(cards.first).to_contain_text(batch_no)
    page.get_by_label("Search").fill("")
    page.locator("#recipient").fill("139-0000 0002")
    expect(cards).to_have_count(1)
    expect(cards.first).to_contain_text("另一条短信")
    page.locator("#recipient").fill("")
    page.get_by_label("Outcome").select_option("rejected")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.get_by_label("Outcome").select_option("")
    expect(cards).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Clear").click()
    expect(cards).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear").click()
    expect(cards).to_have_count(0)
    assert gateway.inbox == ()


def test_page_rejected_and_malformed_arrivals_show_the_reason(page: Page, gateway: Sandbox) -> None:
    """A code has its description in both languages; a malformed request has the error."""
    with pytest.raises(Rejected):
        send(gateway, to="15499990007")
    exchange(gateway, written("GET", "/api/MsgSend.asmx/sendMesExt?Msg=x"))
    cards = page.locator("article")
    expect(cards).to_have_count(2)
    expect(cards.nth(0)).to_contain_text("Missing parameter: userCode.")
    expect(cards.nth(1)).to_contain_text("余额不足 · the balance is too low")


def test_page_html_in_an_arrival_stays_text(page: Page, gateway: Sandbox) -> None:
    """Neither a message nor a user code becomes HTML."""
    nasty = "../../<img src=x onerror=alert(1)>"
    gateway.add_account(Account(nasty, "demo"))
    with Client(nasty, "demo", channel="37", endpoint=gateway.url) as client:
        client.send("13900000000", "<script>alert(1)</script><b>x</b>【<i>签名</i>】")
    card = page.locator("article")
    expect(card.locator(".text")).to_have_text("<script>alert(1)</script><b>x</b>【<i>签名</i>】")
    expect(card).to_contain_text(nasty)
    assert page.locator("article script, article img, article b, article i").count() == 0


def test_page_fault_injected_by_the_form_is_triggered_and_removed(
    page: Page, gateway: Sandbox
) -> None:
    """The form injects and removes a fault, and shows the error of an invalid one."""
    page.get_by_text("Inject faults").click()
    page.locator("[name=kind]").select_option("code")
    page.locator("[name=code]").fill("-7")
    page.locator("[name=times]").fill("2")
    page.get_by_role("button", name="Inject").click()
    rules = page.locator("#fault-list li")
    expect(rules).to_have_count(1)
    with pytest.raises(Rejected):
        send(gateway)
    rules.get_by_role("button", name="Remove").click()
    expect(rules).to_have_count(0)
    assert send(gateway)
    page.locator("[name=code]").fill("7")
    page.get_by_role("button", name="Inject").click()
    expect(page.get_by_role("alert")).to_contain_text("code must look like")


def test_page_fault_injected_elsewhere_appears(page: Page, gateway: Sandbox) -> None:
    """A fault from Python appears, counts, and stays in the list once exhausted."""
    gateway.inject_fault("code", code="-7", times=2)
    expect(page.locator("#active-count")).to_have_text("(1)")
    page.get_by_text("Inject faults").click()
    rule = page.locator("#fault-list li")
    expect(rule).to_contain_text("triggered 0 / 2")
    for count in (1, 2):
        with pytest.raises(Rejected):
            send(gateway)
        expect(rule).to_contain_text(f"triggered {count} / 2")
    expect(rule).to_contain_text("exhausted")
    expect(page.locator("#active-count")).to_have_text("")
    page.reload()
    expect(page.locator("#fault-list li")).to_have_count(1)


def test_page_fault_that_is_triggered_keeps_its_button(page: Page, gateway: Sandbox) -> None:
    """An update must not replace the button that somebody is about to click."""
    page.get_by_text("Inject faults").click()
    gateway.inject_fault("code", code="-7", times=None)
    rule = page.locator("#fault-list li")
    expect(rule).to_contain_text("triggered 0 / ∞")
    button = rule.get_by_role("button", name="Remove").element_handle()
    assert button is not None
    with pytest.raises(Rejected):
        send(gateway)
    expect(rule).to_contain_text("triggered 1 / ∞")
    button.click()  # the same element as before
    expect(rule).to_have_count(0)


def test_page_form_offers_the_options_of_each_kind(page: Page, gateway: Sandbox) -> None:
    """Kinds, stages, options and tooltips of the form are those of the models."""
    page.get_by_text("Inject faults").click()
    kinds = page.locator("[name=kind] option")
    assert [each.get_attribute("value") for each in kinds.all()] == [*FAULT_TYPES]
    schemas = origin_get(gateway, "/api/v1/openapi.json")["components"]["schemas"]
    for kind, ref in schemas["NewFault"]["discriminator"]["mapping"].items():
        page.locator("[name=kind]").select_option(kind)
        schema = schemas[ref.rpartition("/")[2]]
        assert page.locator("[name=kind]").get_attribute("title") == schema["description"]
        options = dict(schema["properties"])
        del options["kind"]
        when = options.pop("when")
        enabled = page.locator("[name=when] option:not([disabled])")
        stages = when.get("enum", [when.get("const")])
        assert {each.get_attribute("value") for each in enabled.all()} == set(stages)
        shown = page.locator("#fault [data-option]:not([hidden])").all()
        assert {each.get_attribute("data-option") for each in shown} == set(options)
        for each in shown:
            option = options[each.get_attribute("data-option") or ""]
            assert each.get_attribute("title") == option["description"]
            assert each.locator("span").text_content()
    page.locator("[name=kind]").select_option("balance")
    page.locator("[name=left]").fill("1")
    page.get_by_role("button", name="Inject").click()
    expect(page.locator("#fault-list li")).to_have_count(1)
    assert send(gateway)
    for _ in range(2):
        with pytest.raises(Rejected):
            send(gateway)


def test_page_failed_search_does_not_stop_updates(page: Page, gateway: Sandbox) -> None:
    """After a failed search the page still shows new arrivals."""
    page.route("**/api/v1/arrivals?text=*", lambda route: route.fulfill(status=400, body="<html>"))
    page.locator("#text").fill("x")
    expect(page.locator("#count")).to_have_text("HTTP 400")
    page.locator("#text").fill("")
    expect(page.locator("#count")).to_have_text("Nothing has arrived yet.")
    page.locator("#text").fill("x")
    expect(page.locator("#count")).to_have_text("HTTP 400")
    send(gateway, "x【签名】")
    expect(page.locator("article")).to_have_count(1)


def test_page_under_a_public_name_shows_the_error(browser: Browser, gateway: Sandbox) -> None:
    """A page that the guard rejects says which name is wrong."""
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(gateway.url.partition("/api/")[0].replace("127.0.0.1", "sms.example.com"))
    expect(page.locator("#connection")).to_contain_text(
        "the host name sms.example.com could be used for DNS rebinding"
    )
    context.close()


def test_page_fault_limited_to_some_submissions_has_these_options(
    page: Page, gateway: Sandbox
) -> None:
    """The form sends the selection of submissions, and the list shows it."""
    page.get_by_text("Inject faults").click()
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
    expect(page.locator("#fault-list li")).to_have_text(
        "html · status=502 · numbers=13900000001+13900000002 · user_code=demo · protocol=soap"
        " · text=验证码 · skip=1 · after processing · triggered 0 / 1 Remove"
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


def test_page_keyboard_moves_between_arrivals_and_search(page: Page, gateway: Sandbox) -> None:
    """j and k move between arrivals, / moves to the search."""
    for text in ("一【签名】", "二【签名】"):
        send(gateway, text)
    expect(page.locator("article")).to_have_count(2)
    page.keyboard.press("j")
    expect(page.locator("article").nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("article").nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("二")
    expect(page.locator("article")).to_have_count(1)


def test_page_ten_thousand_arrivals_are_shown_in_pages(page: Page, gateway: Sandbox) -> None:
    """The page loads 100 arrivals at a time and says how many were dropped."""
    for number in range(gateway.store.limits.max_arrivals + 5):
        gateway.store.add(
            Arrival(
                received_at=datetime.now(timezone.utc),
                outcome=Outcome.ACCEPTED,
                result=str(number + 1),
                batch_no=str(number + 1),
                http_status=200,
                remote="127.0.0.1",
                protocol="soap",
                recipients=("13900000000",),
                message=f"第{number}条【签名】",
            )
        )
    expect(page.locator("#count")).to_have_text("10000 requests · 5 older ones were dropped")
    page.reload()
    expect(page.locator("article")).to_have_count(100)
    expect(page.locator("#count")).to_have_text("10000 requests · 5 older ones were dropped")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("article")).to_have_count(200)
    expect(page.locator("article").last).to_contain_text("第9805条")
    page.locator("#text").fill("第5条")
    expect(page.locator("article")).to_have_count(1)
    send(gateway)  # one more that does not match the search
    expect(page.locator("#count")).to_contain_text("1 / 10000 requests · 6 older ones were dropped")


def test_page_copies_a_batch_number_and_downloads_arrivals(
    browser: Browser, gateway: Sandbox
) -> None:
    """The buttons copy a batch number and download CSV and JSON."""
    batch_no = send(gateway)
    origin = gateway.url.partition("/api/")[0]
    context = browser.new_context(locale="en-GB")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    page = context.new_page()
    page.goto(origin)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == batch_no
    for form in ("CSV", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("link", name=form).click()
        assert download.value.suggested_filename == f"arrivals.{form.lower()}"
        assert batch_no in download.value.path().read_text("utf-8")
    context.close()


def test_page_in_a_chinese_browser_is_chinese(browser: Browser, gateway: Sandbox) -> None:
    """The page uses the browser's first language."""
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(gateway.url.partition("/api/")[0])
    expect(page.get_by_text("还没有收到短信。")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_desktop_and_phone(
    browser: Browser, gateway: Sandbox, scheme: str, width: int
) -> None:
    """Nothing is wider than the window, in light and in dark colours."""
    send(gateway, to="13900000000,13900000001")
    send(gateway, "x" * 300 + "【签名】")
    with pytest.raises(Rejected):
        send(gateway, to="15499990007")
    exchange(gateway, written("GET", "/api/MsgSend.asmx/sendMesExt?Msg=x"))
    context = browser.new_context(
        locale="zh-CN",
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(gateway.url.partition("/api/")[0])
    expect(page.locator("article")).to_have_count(4)
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(level) for level in re.findall("[0-9]+", background)[:3]]
    assert (max(levels) < 64) == (scheme == "dark")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"inbox-{width}-{scheme}.png")
    context.close()
