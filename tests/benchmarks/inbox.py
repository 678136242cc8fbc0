"""Measure the inbox in Chromium with 10,000 messages: ``python -m tests.benchmarks.inbox``.

The times are the browser's own: from the start of the navigation, or from the key, until the rows
are painted.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals

LIMIT = 200
"""The milliseconds that are promised."""
# Asking the page again and again would slow it down: it says itself when it has painted the rows.
_SAY_PAINTED = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('#rows li')) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => console.log(performance.now())));
}).observe(document, { childList: true, subtree: true });
"""
# The count changes with each of the searches, and only together with the rows.
_SEARCHED = """
(search) => new Promise((resolve) => {
  const [field, count] = [document.querySelector('#q'), document.querySelector('#count')];
  const before = count.textContent;
  const start = performance.now();
  new MutationObserver((_, observer) => {
    if (count.textContent === before) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
  }).observe(count, { childList: true, characterData: true, subtree: true });
  field.value = search;
  field.dispatchEvent(new InputEvent('input', { bubbles: true }));
})
"""
_SEARCHES = ("订单", "第77", "to:13700009999", "code:-14", 'text:"请注意" before:2000-01-01', "")


@contextmanager
def _running(messages: int) -> Iterator[str]:
    """Run a sandbox in a process of its own, and yield the address of its page."""
    with TemporaryDirectory() as folder:
        record = Path(folder) / "record"
        _fill(record, messages)
        command = [sys.executable, "-m", "yunxin_soap", "sandbox", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--record", str(record)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().rpartition(" ")[2].strip()
            yield f"{url.partition('/api/')[0]}/"
        finally:
            process.terminate()
            process.communicate()


def _fill(record: Path, messages: int) -> None:
    file = SqliteArrivals(record)
    now = datetime.now(timezone.utc)
    for number in range(1, messages + 1):
        rejected = number % 50 == 0
        file.append(
            Arrival(
                id=number,
                received_at=now - timedelta(seconds=messages - number),
                outcome=Outcome.REJECTED if rejected else Outcome.ACCEPTED,
                result="-14" if rejected else str(number),
                batch_no=None if rejected else str(number),
                http_status=200,
                remote="127.0.0.1",
                protocol="soap",
                user_code="demo",
                recipients=(f"137{number:08d}",),
                message=f"第{number}条：您的订单已发货，请注意查收。【商城】",
                request="POST /api/MsgSend.asmx HTTP/1.1\n\n" + "x" * 600,
                response="HTTP/1.1 200\n\n" + "x" * 400,
            )
        )
    file.close()


def _measure(browser: Browser, address: str, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.add_init_script(_SAY_PAINTED)
        # A new page has a process of its own, which must start first, and has kept no scripts.
        for visit in ("first visit", "later visit"):
            with page.expect_console_message() as said:
                page.goto(address, wait_until="commit")
            painted = float(said.value.text)
            found.setdefault(f"first paint of the rows, {visit}", []).append(painted)
            page.locator("#connection.on").wait_for()
            page.evaluate("new Promise(requestIdleCallback)")
        for search in _SEARCHES:
            found.setdefault(f"search: {search or '(emptied)'}", []).append(
                page.evaluate(_SEARCHED, search)
            )
        found.setdefault("jump to the oldest", []).append(_jump(page))
        page.close()
    return found


def _jump(page: Page) -> float:
    """Return the milliseconds from a jump of the scroll bar until the last row is there."""
    jumped: float = page.evaluate(
        """() => new Promise((resolve) => {
          const [scroll, rows] = ['#scroll', '#rows'].map((each) => document.querySelector(each));
          const last = rows.firstElementChild.getAttribute('aria-setsize');
          const start = performance.now();
          scroll.scrollTop = scroll.scrollHeight;
          const look = () => (rows.querySelector(`[aria-posinset="${last}"]`)
            ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)))
            : requestAnimationFrame(look));
          look();
        })"""
    )
    return jumped


@click.command()
@click.option("--messages", default=10_000, show_default=True, help="Messages in the inbox.")
@click.option("--rounds", default=10, show_default=True, help="How often to load the page.")
def main(messages: int, rounds: int) -> None:
    """Measure first paint and search of the inbox in Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise click.ClickException("chromium is not installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
    with _running(messages) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        found = _measure(browser, address, rounds)
        browser.close()
    table = Table(title=f"The inbox with {messages:,} messages, {rounds} rounds, in milliseconds")
    table.add_column("what")
    for column in ("median", "slowest", f"within {LIMIT}"):
        table.add_column(column, justify="right")
    for name, times in found.items():
        median, slowest = statistics.median(times), max(times)
        table.add_row(name, f"{median:.0f}", f"{slowest:.0f}", "yes" if median <= LIMIT else "NO")
    Console().print(table)


if __name__ == "__main__":
    main()
