"""``yunxin-soap codes``: the vendor's table of result codes."""

from __future__ import annotations

import click

from yunxin_soap.cli.commands import command
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import json_option
from yunxin_soap.cli.output import print_json
from yunxin_soap.codes import DOCUMENTED


@command("codes", context_settings={"ignore_unknown_options": True})
@click.argument("code", required=False, type=int)
@json_option
def codes_command(code: int | None, as_json: bool) -> None:
    """List the gateway's result codes, or explain one.

    For example: yunxin-soap codes -5
    """
    if code is not None:
        code = -abs(code)
        if code not in DOCUMENTED:
            raise click.BadParameter(
                tr(
                    "{code} is not in the vendor's manual. The gateway rejects a submission with "
                    "it for a reason that is not known here.",
                    code=code,
                ),
                param_hint="CODE",
            )
    rows = [
        {
            "code": int(each),
            "name": each.name,
            "category": each.category.value,
            "description_zh": each.description_zh,
            "description_en": each.description_en,
            "temporary": each.temporary,
            "safe_to_resend": each.safe_to_resend,
        }
        for each in DOCUMENTED.values()
        if code in (None, each)
    ]
    if as_json:
        print_json(rows if code is None else rows[0])
        return
    for row in rows:
        click.echo(f"{row['code']:>4}  {row['category']:<13}  {row['description_zh']}")
        click.echo(f"{'':21}{row['description_en']}")
