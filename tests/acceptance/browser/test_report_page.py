"""The report about a campaign, as a browser shows and prints it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pypdfium2
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FloatRect, ViewportSize, expect

from tests.acceptance.browser.conftest import SCREENSHOTS
from tests.support.campaign_figures import rich_figures
from yunxin_soap.campaign.report import render_report

_TOP = FloatRect(x=128, y=0, width=1024, height=1740)
"""The part of a laptop's page that the README shows."""
_LAPTOP = ViewportSize(width=1280, height=900)
_PHONE = ViewportSize(width=390, height=844)


def png(page: pypdfium2.PdfPage) -> bytes:
    """Return a page of a PDF as an image."""
    bitmap = page.render(scale=1.5, rev_byteorder=True)
    pixels = bitmap.to_numpy()[:, :, :3]
    height, width, _ = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        )
    )


def test_report_switches_its_language_prints_and_is_accessible(
    browser: Browser, tmp_path: Path
) -> None:
    """No part is cut on a phone or on paper, axe finds nothing, and one language is shown."""
    SCREENSHOTS.mkdir(exist_ok=True)
    file = tmp_path / "report.html"
    file.write_text(render_report(rich_figures(), ZoneInfo("Asia/Shanghai"), "en"), "utf-8")
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        # axe injects its script; the report itself has none.
        page = browser.new_page(viewport=_LAPTOP, color_scheme=scheme)
        page.goto(file.as_uri())
        for language, label, shown, hidden in (
            ("en", "English", "What to do next", "后续处理"),
            ("zh", "中文", "后续处理", "What to do next"),
        ):
            page.get_by_label(label, exact=True).focus()
            page.keyboard.press("Space")
            expect(page.get_by_role("heading", name=shown)).to_be_visible()
            expect(page.get_by_text(hidden, exact=True)).to_be_hidden()
            if (scheme, language) in (("light", "en"), ("dark", "zh")):
                found = Axe().run(page)
                assert found.violations_count == 0, found.generate_report()
            name = f"report-{scheme}-{language}"
            page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
            page.screenshot(path=SCREENSHOTS / f"{name}-top.png", full_page=True, clip=_TOP)
        # On paper, the page is light, and in the language that was chosen.
        printed = pypdfium2.PdfDocument(page.pdf(prefer_css_page_size=True))
        text = "".join(each.get_textpage().get_text_bounded() for each in printed)
        assert "后续处理" in text
        assert "What to do next" not in text
        assert "English" not in text
        assert (printed[0].render().to_numpy()[:, :, :3] == 255).mean() > 0.5
        assert [round(each) for each in printed[0].get_size()] == [595, 842]  # A4
        assert len(printed) <= 3
        page.close()
    (SCREENSHOTS / "report-a4.png").write_bytes(png(printed[0]))
    page = browser.new_page(viewport=_PHONE)
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == _PHONE["width"]
    page.screenshot(path=SCREENSHOTS / "report-phone.png", full_page=True)
    page.close()


def test_report_bars_are_level_with_their_numbers(browser: Browser, tmp_path: Path) -> None:
    """The middle of each bar is that of the number beside it, within a pixel."""
    file = tmp_path / "report.html"
    file.write_text(render_report(rich_figures(), ZoneInfo("Asia/Shanghai"), "en"), "utf-8")
    page = browser.new_page(viewport=_LAPTOP)
    page.goto(file.as_uri())
    apart = page.evaluate("""
        [...document.querySelectorAll('svg.bar')].map((bar) => {
          const middle = ({ top, bottom }) => (top + bottom) / 2;
          const range = document.createRange();
          range.selectNodeContents(bar.closest('tr').querySelector('td.n'));
          const [number, drawn] = [range, bar].map((each) => middle(each.getBoundingClientRect()));
          return Math.abs(number - drawn);
        })
    """)
    assert len(apart) > 5
    assert max(apart) < 1
    page.close()
