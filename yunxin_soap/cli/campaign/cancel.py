"""``yunxin-soap campaign cancel``: never send what is pending."""

from __future__ import annotations

import time

from yunxin_soap.cli.commands import command
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import (
    by_option,
    confirm,
    ledger_options,
    name_argument,
    open_ledger,
    yes_option,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_result, print_text

_LINE_INTERVAL = 5.0
"""Seconds between two lines about how far it is."""


@command("cancel")
@name_argument
@yes_option
@by_option
@ledger_options
def cancel_command(name: str, yes: bool, by: str, ledger_url: str | None, as_json: bool) -> None:
    """Cancel a campaign: what is pending is never sent.

    Submissions in flight end as they end. This is final: to send to the numbers that are left,
    plan another campaign.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        from yunxin_soap.campaign import CampaignState, State

        status = ledger.status(name)
        if status.state is not CampaignState.DONE:  # which is refused without a question
            pending = pluralize(status.numbers[State.PENDING], "pending number")
            confirm(
                tr("Cancel {name}, with {pending}? This is final.", name=name, pending=pending),
                yes=yes,
            )
        show = _Progress(status.submissions[State.PENDING])
        count = ledger.cancel(name, by=by, on_progress=show)
        in_flight = ledger.status(name).submissions[State.SUBMITTING]
        still = (
            tr(
                " {submissions} in flight: that ends as it ends.",
                submissions=pluralize(in_flight, "submission"),
            )
            if in_flight
            else ""
        )
        text = tr(
            "{submissions} cancelled.{still}",
            submissions=pluralize(count, "submission"),
            still=still,
        )
        print_result(as_json, "submissions", count, text)


class _Progress:
    """Prints now and then how many submissions are cancelled.

    Args:
        pending: how many there are to cancel.
    """

    def __init__(self, pending: int) -> None:
        self._pending, self._last = pending, time.monotonic()

    def __call__(self, count: int) -> None:
        """Print it if it is time."""
        now = time.monotonic()
        if now >= self._last + _LINE_INTERVAL:
            self._last = now
            print_text(
                tr(
                    "{count} of {pending} submissions cancelled", count=count, pending=self._pending
                ),
                err=True,
            )
