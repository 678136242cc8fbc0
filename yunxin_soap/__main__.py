"""The ``yunxin-soap`` command, also as ``python -m yunxin_soap``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say how to install what it needs."""
    try:
        import click  # noqa: F401 - only to see that it is installed
    except ModuleNotFoundError:
        from yunxin_soap.extras import missing_extra
        from yunxin_soap.sentences import Sentence

        sys.exit(
            str(missing_extra(Sentence("The command line needs {library}", library="click"), "cli"))
        )
    from yunxin_soap.cli import cli

    cli(prog_name="yunxin-soap")


if __name__ == "__main__":
    main()
