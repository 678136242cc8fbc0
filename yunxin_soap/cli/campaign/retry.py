"""``yunxin-soap campaign retry``: make rejected submissions pending again."""

from __future__ import annotations

import click

from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import (
    by_option,
    check_target,
    key_option,
    ledger_options,
    open_ledger,
    optional_name_argument,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_result


@command("retry")
@optional_name_argument
@key_option
@option(
    "--code",
    type=click.IntRange(-999_999_999, 999_999_999),
    help="Only submissions that were rejected with this code.",
)
@option(
    "--unsafe",
    is_flag=True,
    help="Include submissions that may have been sent: some SMS may go out twice.",
)
@by_option
@ledger_options
def retry_command(
    name: str | None,
    key: str | None,
    code: int | None,
    unsafe: bool,
    by: str,
    ledger_url: str | None,
    as_json: bool,
) -> None:
    """Make rejected submissions pending again.

    Without --unsafe, those that may have been sent stay as they are. Texts that are on hold are
    released.
    """
    with handle_errors(as_json):
        from yunxin_soap.campaign import State

        check_target(name, key, code=code)
        count, hint = 1, ""
        with open_ledger(ledger_url) as ledger:
            if key is not None:
                ledger.once.retry(key, unsafe=unsafe, by=by)
            elif name is not None:
                exact = None if code is None else -abs(code)
                count = ledger.retry(name, code=exact, unsafe=unsafe, by=by)
                if not unsafe and code is None:
                    hint = _hint(ledger.status(name).submissions[State.REJECTED])
        text = tr(
            "{submissions} pending again.{hint}",
            submissions=pluralize(count, "submission"),
            hint=hint,
        )
        print_result(as_json, "submissions", count, text)


def _hint(left: int) -> str:
    if not left:
        return ""
    return tr(
        " {left} left out, since they may have been sent (use --unsafe), or were purged.",
        left=pluralize(left, "rejected submission"),
    )
