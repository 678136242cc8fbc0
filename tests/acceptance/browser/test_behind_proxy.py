"""The inbox's page behind a reverse proxy, with a login, in a real browser."""

from __future__ import annotations

import ssl

from playwright.sync_api import Browser, expect

from tests.support.reverse_proxy import reverse_proxy
from yunxin_soap import Client
from yunxin_soap.sandbox import Access, Login, Sandbox


def test_page_behind_a_proxy_is_live_and_can_clear(browser: Browser, tls: ssl.SSLContext) -> None:
    """Under a proxy's name, path and TLS the page shows what arrives, and may change things."""
    login = Login("ops", "口令")
    access = Access(allowed_hosts=("sms.example.com",), base_path="/sms", login=login)
    with Sandbox(access=access) as gateway:
        origin = gateway.url.partition("/sms/")[0]
        with reverse_proxy(origin, "/sms", tls, keeps_prefix=True) as proxy:
            context = browser.new_context(
                locale="en-GB",
                ignore_https_errors=True,
                http_credentials={"username": login.user, "password": login.password},
            )
            try:
                page = context.new_page()
                page.goto(proxy.replace("127.0.0.1", "sms.example.com") + "/sms/")
                with Client("demo", "demo", channel=37, endpoint=gateway.url) as client:
                    client.send("13900000000", "您好，欢迎【签名】")
                expect(page.get_by_text("您好，欢迎").first).to_be_visible()
                status = page.evaluate(
                    "fetch('api/v1/arrivals', { method: 'DELETE' }).then((reply) => reply.status)"
                )
                assert status == 200
                expect(page.get_by_text("您好，欢迎")).to_have_count(0)
            finally:
                context.close()
