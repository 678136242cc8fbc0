"""``manage.py yunxin``: the command line of the package, with the settings of the project."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from yunxin_soap.django import configuration
from yunxin_soap.django.process import keeps_outbox
from yunxin_soap.extras import missing_extra
from yunxin_soap.sentences import Sentence


class Command(BaseCommand):
    """Hands its arguments over to ``yunxin-soap``."""

    help = (
        "Run a command of yunxin-soap with the account and the ledger of YUNXIN, such as: worker;"
        " campaign status. Without a command it lists them."
    )

    def run_from_argv(self, argv: list[str]) -> None:
        """Leave the help to yunxin-soap."""
        super().run_from_argv(argv[:2] if argv[2:] in (["--help"], ["-h"]) else argv)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything as it is."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *_: Any, **options: Any) -> None:
        """Run the command; its exit status is that of ``yunxin-soap``.

        Raises:
            CommandError: a test runs, or click is not installed.
        """
        try:
            from yunxin_soap.cli import cli
            from yunxin_soap.cli.options import ApplicationSettings
        except ModuleNotFoundError as error:
            needs = Sentence("The command line needs {library}", library=error.name)
            raise CommandError(str(missing_extra(needs, "cli"))) from None
        if keeps_outbox():
            raise CommandError(
                "In a test, this command would send: set YUNXIN['outbox'] to False, and"
                " YUNXIN['endpoint'] to a sandbox."
            )
        settings = ApplicationSettings(configuration.client_arguments())
        settings.program = "python manage.py yunxin"
        settings["ledger"] = configuration.ledger_url(configuration.read())
        cli(
            options["arguments"] or ["--help"],
            prog_name="manage.py yunxin",
            obj=settings,
        )
