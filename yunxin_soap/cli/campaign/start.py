"""``yunxin-soap campaign start``: let workers send a campaign in the background."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from yunxin_soap.cli.campaign.run import ask_to_send, sending_options
from yunxin_soap.cli.campaign.texts import parse_price, price_option
from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import (
    application_settings,
    ledger_options,
    name_argument,
    name_in_command,
    open_ledger,
    yes_option,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_result, print_text


@command("start")
@name_argument
@option("--workers", default=2, show_default=True, help="The most runners at once.")
@option(
    "--celery",
    "celery_name",
    metavar="APP",
    help="Wake up the workers of this Celery application, named as for celery -A.",
)
@ledger_options
@sending_options
@price_option
@yes_option
def start_command(
    name: str,
    workers: int,
    celery_name: str | None,
    ledger_url: str | None,
    as_json: bool,
    price: str | None,
    yes: bool,
    **options: Any,
) -> None:
    """Let the workers of this ledger send a campaign.

    This command sends nothing itself. A campaign that is started again gets the new options. At a
    terminal it first shows what would be sent, and asks.

    Workers of Celery begin at once with --celery, and else with their next sweep.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        from yunxin_soap.campaign.ledger import check_run
        from yunxin_soap.campaign.timezones import parse_timezone

        zone, exact_price = parse_timezone(options["timezone"]), parse_price(price)
        check_run(ledger, name, **options)
        wake_up = None if celery_name is None else _find_celery(celery_name)
        if not yes and sys.stdin.isatty() and sys.stderr.isatty():
            ask_to_send(ledger, name, options, zone, exact_price)
        ledger.start(name, workers=workers, **options)
        if wake_up is not None and (why := wake_up(name)):
            print_text(
                tr("No worker was woken up ({why}): the next sweep begins it.", why=why), err=True
            )
        stop = f"{application_settings().program} campaign stop {name_in_command(name)}"
        runners = pluralize(workers, "runner")
        print_result(
            as_json,
            "started",
            name,
            tr(
                '{name} is started for {runners}; "{stop}" ends it.',
                name=name,
                runners=runners,
                stop=stop,
            ),
        )


def _find_celery(name: str) -> Callable[[str], str]:
    """Return what wakes up the workers of a Celery application.

    Raises:
        ConfigurationError: there is no such application, or it was not set up.
    """
    from yunxin_soap.celery import find_application, wake_up

    return functools.partial(wake_up, find_application(name))
