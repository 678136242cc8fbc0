"""Plays rounds side by side, and prints a table of what became of them."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import click

from tests.integration.campaign.killing.attacks import ATTACKS
from tests.integration.campaign.killing.pool import Pool, missing, settings
from tests.integration.campaign.killing.report import Table
from tests.integration.campaign.killing.servers import KINDS
from yunxin_soap import wsdl


@click.command()
@click.option("--rounds", default=100, show_default=True, help="How many rounds.")
@click.option("--seed", default=0, show_default=True, help="Of the first round.")
@click.option("--jobs", default=2, show_default=True, help="Rounds side by side.")
@click.option("--attack", "attacks", multiple=True, type=click.Choice(list(ATTACKS)))
@click.option("--database", "kinds", multiple=True, type=click.Choice(list(KINDS)))
@click.option("--keep-going", is_flag=True, help="Play on after a mistake.")
@click.option("--verbose", is_flag=True, help="Say how the attacked processes ended.")
def main(
    rounds: int,
    seed: int,
    jobs: int,
    attacks: tuple[str, ...],
    kinds: tuple[str, ...],
    keep_going: bool,
    verbose: bool,
) -> None:
    """Attack, run to the end, compare; print a table, or stop at the first mistake."""
    try:
        chosen = settings(rounds, seed, attacks or tuple(ATTACKS), kinds or KINDS)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    wsdl.load(None)  # else each process would load it first, and be attacked during that
    table = Table()
    playable = []
    for setting in chosen:
        if why := missing(setting):
            table.skip(setting.attack, why)
        else:
            playable.append(setting)
    folder = Path(tempfile.mkdtemp(prefix="yunxin-killing-"))
    folder.chmod(0o755)  # the users of database servers pass through it
    try:
        pool = Pool(folder)
        for outcome in pool.play(playable, jobs):
            table.add(outcome)
            click.echo(outcome.line())
            if verbose or not outcome.is_good:
                for each in (*outcome.mistakes, *outcome.notes):
                    click.echo(f"    {each}")
            if not outcome.is_good and not keep_going:
                pool.stop()
    finally:
        if table.mistakes:
            click.echo(f"The files of what went wrong are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(table.text())
    sys.exit(1 if table.mistakes else 0)


if __name__ == "__main__":
    main()
