"""Remind customers of their bills once a day, from a CSV file or a database.

Start it by cron or systemd. It may be started again at any time, twice at once, or after a kill:
all starts of a day share one campaign, by its name, and nobody gets its SMS twice. SIGTERM lets
what is in flight end, and leaves the rest for the next start.

Exit status, as of "yunxin-soap campaign run":

  0  every number was accepted, or nobody is to be reminded
  2  the settings, the options or the list are wrong; nothing was sent
  3  some numbers were rejected
  4  some are still to be sent: start it again
  5  for some nobody knows whether the SMS was sent: ask the vendor, then decide
  6  the ledger cannot be used
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from yunxin_soap import Client, ConfigurationError, ContentConflict, InvalidRequest, LedgerError
from yunxin_soap.campaign import (
    CampaignState,
    Csv,
    Ledger,
    Progress,
    SkippedLine,
    State,
    Status,
)

MESSAGE = "{name}您好，您的账单{amount}元将于{due:%m月%d日}到期"
QUERY = text("SELECT mobile, name, amount, due FROM bills WHERE due = :due ORDER BY mobile")
DAYS_AHEAD = timedelta(days=3)


def main(arguments: Sequence[str], stop: threading.Event) -> int:
    """Plan the campaign of the day unless that was done, run it, and report.

    Args:
        arguments: those of the command line.
        stop: once it is set, nothing more is sent.

    Returns:
        The exit status.
    """
    given = parse(arguments)
    name = f"bill-reminder-{given.date}"
    said: set[str] = set()

    def say_why_it_waits(progress: Progress) -> None:
        if progress.reason and progress.reason not in said:
            said.add(progress.reason)
            print(f"{name}: {progress.reason}", file=sys.stderr)

    try:
        source = Csv(given.csv) if given.csv else due_bills(given.database, given.date)
        if source == []:
            print(f"{name}: nobody is to be reminded.")
            return 0
        with Client.from_env() as client, Ledger() as ledger:
            plan_once(ledger, client, name, source)
            status = ledger.run(
                name,
                client,
                sending_hours=given.hours,
                rate_limit=20,
                isolate=True,
                on_progress=say_why_it_waits,
                stop=stop,
            )
            if given.report:
                given.report.write_text(ledger.report(name, language="zh"), "utf-8")
    except LedgerError as error:
        print(error, file=sys.stderr)
        return 6
    except (ConfigurationError, InvalidRequest, SQLAlchemyError) as error:
        print(error, file=sys.stderr)
        return 2
    print_report(status)
    return status.exit_status


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    summary, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--csv", type=Path, metavar="FILE", help="a list with headings")
    source.add_argument("--database", metavar="URL", help="as SQLAlchemy takes it")
    parser.add_argument(
        "--date",
        type=date.fromisoformat,
        default=datetime.now(ZoneInfo("Asia/Shanghai")).date(),
        help="the day of the campaign (today in China)",
    )
    parser.add_argument("--hours", default="09:00-20:00", help="when to send (%(default)s)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the HTML report here")
    return parser.parse_args(arguments)


def due_bills(database: str, day: date) -> list[Mapping[str, Any]]:
    """Return a row for each bill that is due soon."""
    engine = create_engine(database)
    try:
        with engine.connect() as connection:
            rows = connection.execute(QUERY, {"due": str(day + DAYS_AHEAD)})
            return [dict(row) for row in rows.mappings()]
    finally:
        engine.dispose()


def plan_once(ledger: Ledger, client: Client, name: str, source: Any) -> None:
    """Create the campaign of the day; what an earlier start has planned stays as it is."""

    def show(skipped: SkippedLine) -> None:
        print(f"line {skipped.line} is skipped: {skipped.reason}", file=sys.stderr)

    settings = client.settings
    try:
        ledger.plan(
            name,
            source,
            MESSAGE,
            channel=settings.channel or "",
            signature=settings.signature,
            on_skipped=show,
        )
    except ContentConflict:
        # The list has changed since the first start of this day. Nobody may get a second SMS for
        # that, and who is new in it gets one tomorrow.
        print(f"{name}: the list has changed; the first one of this day holds.", file=sys.stderr)


def print_report(status: Status) -> None:
    """Print how many numbers ended in which way, and what to do."""
    print(f"{status.name}: {status.state.value}" + (f", {status.reason}" if status.reason else ""))
    for state, numbers in status.numbers.items():
        if numbers:
            print(f"{numbers:8} {state.value}")
    if status.skipped:
        print(f"{status.skipped:8} skipped")
    for code, numbers in status.codes.items():
        print(f"         code {code}: {numbers} (yunxin-soap codes {code})")
    if status.numbers[State.UNKNOWN]:
        print(f"Ask the vendor, then: yunxin-soap campaign resolve {status.name}")
    if status.state is CampaignState.PAUSED:
        print(f"Once its cause is fixed: yunxin-soap campaign resume {status.name}")


if __name__ == "__main__":
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    sys.exit(main(sys.argv[1:], stop))
