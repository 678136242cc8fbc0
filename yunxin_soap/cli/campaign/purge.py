"""``yunxin-soap campaign purge``: remove old numbers and texts."""

from __future__ import annotations

import re

from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import confirm, ledger_options, open_ledger, yes_option
from yunxin_soap.cli.output import handle_errors, pluralize, print_result
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


@command("purge")
@option(
    "--older-than",
    required=True,
    metavar="AGE",
    help="Minimum time since a submission ended, such as 90d or 12h.",
)
@yes_option
@ledger_options
def purge_command(older_than: str, yes: bool, ledger_url: str | None, as_json: bool) -> None:
    """Remove old numbers and texts; counts stay.

    Submissions that are pending or unknown keep theirs.
    """
    with handle_errors(as_json):
        seconds = _parse_age(older_than)
        with open_ledger(ledger_url) as ledger:
            what = tr("the numbers and texts of all that ended")
            confirm(
                tr(
                    "Remove {what} more than {older_than} ago? This is final.",
                    what=what,
                    older_than=older_than,
                ),
                yes=yes,
            )
            count = ledger.purge(older_than=seconds)
        print_result(
            as_json, "numbers", count, tr("{numbers} removed.", numbers=pluralize(count, "number"))
        )


def _parse_age(age: str) -> float:
    if re.fullmatch("[0-9]{1,9}", age):
        units = Sentence("write {age}d, {age}h, {age}m or {age}s", age=age)
        raise ConfigurationError(
            Sentence("--older-than {age} has no unit: {units}.", age=repr(age), units=units)
        )
    if not re.fullmatch("[0-9]{1,9}[dhms]", age):
        raise ConfigurationError(
            Sentence(
                "--older-than {age} must be a whole number with a unit, such as 90d or 12h.",
                age=repr(age),
            )
        )
    return int(age[:-1]) * _SECONDS[age[-1]]
