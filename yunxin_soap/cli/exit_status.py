"""The exit statuses of every command, in one table, which the reference shows, too."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import TYPE_CHECKING

from yunxin_soap.cells import wrap_cells
from yunxin_soap.cli.commands import Epilog
from yunxin_soap.cli.language import tr, translate
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from typing_extensions import Self


class Exit(IntEnum):
    """The exit statuses."""

    DONE = 0
    OUTPUT_FAILED = 1
    INVALID = 2
    REJECTED = 3
    NOT_SENT = 4
    UNKNOWN = 5
    LEDGER_FAILED = 6
    WSDL_DIFFERS = 7
    WSDL_AFFECTS_SENDS = 8
    INTERRUPTED = 130


SEND = "send, campaign test"
RUN = "campaign run, resume, watch"
CAMPAIGN = "other campaign commands, pace"
WORKER = "worker"
OTHER = "codes, sandbox, wsdl"
OF_WSDL_CHECK = frozenset({Exit.WSDL_DIFFERS, Exit.WSDL_AFFECTS_SENDS})

MEANINGS: dict[str, dict[Exit, Sentence]] = {
    SEND: {
        Exit.DONE: Sentence("accepted: the batch number is printed"),
        Exit.OUTPUT_FAILED: Sentence(
            "the output cannot be written (after an accepted submission: 0)"
        ),
        Exit.INVALID: Sentence(
            "the options, the settings or the request are invalid; nothing was sent"
        ),
        Exit.REJECTED: Sentence("rejected by the gateway; fix the cause, then send again"),
        Exit.NOT_SENT: Sentence(
            "not sent: the gateway was not reached; you may send again at once"
        ),
        Exit.UNKNOWN: Sentence(
            "unknown: the SMS may have been sent; check before you send it again"
        ),
        Exit.LEDGER_FAILED: Sentence("campaign test: the ledger cannot be used"),
        Exit.INTERRUPTED: Sentence(
            "Ctrl-C before the submission (during it: 5; at the password prompt: 2)"
        ),
    },
    RUN: {
        Exit.DONE: Sentence("every number was accepted, or is on the do-not-send list"),
        Exit.OUTPUT_FAILED: Sentence("the output cannot be written"),
        Exit.INVALID: Sentence(
            "the options, the settings or the name are invalid, or the answer was no"
        ),
        Exit.REJECTED: Sentence(
            "some numbers were rejected or cancelled, or their message is on hold"
        ),
        Exit.NOT_SENT: Sentence(
            "some numbers are still pending: the campaign is paused, or was stopped"
        ),
        Exit.UNKNOWN: Sentence("some outcomes are unknown: those SMS may have been sent"),
        Exit.LEDGER_FAILED: Sentence("the ledger cannot be used"),
        Exit.INTERRUPTED: Sentence(
            "Ctrl-C before the run (at the password prompt: 2), or while watching one"
        ),
    },
    CAMPAIGN: {
        Exit.DONE: Sentence("done"),
        Exit.OUTPUT_FAILED: Sentence("the output cannot be written"),
        Exit.INVALID: Sentence(
            "the options, the list or the name are invalid, or the campaign is in a state that"
            " does not allow it"
        ),
        Exit.LEDGER_FAILED: Sentence("the ledger cannot be used"),
        Exit.INTERRUPTED: Sentence("Ctrl-C"),
    },
    WORKER: {
        Exit.DONE: Sentence("stopped by a signal, and nothing was in flight any more"),
        Exit.INVALID: Sentence("the options or the settings are invalid"),
        Exit.UNKNOWN: Sentence("stopped by a second signal: what was in flight is unknown"),
        Exit.LEDGER_FAILED: Sentence("the ledger cannot be opened (later it is waited for)"),
        Exit.INTERRUPTED: Sentence("Ctrl-C before it began (at the password prompt: 2)"),
    },
    OTHER: {
        Exit.DONE: Sentence("done"),
        Exit.OUTPUT_FAILED: Sentence("the output cannot be written"),
        Exit.INVALID: Sentence(
            "the options or the settings are invalid; wsdl: it does not fit, or cannot be fetched"
            " or written"
        ),
        Exit.WSDL_DIFFERS: Sentence(
            "wsdl check: the live WSDL differs, but sends are not affected"
        ),
        Exit.WSDL_AFFECTS_SENDS: Sentence(
            "wsdl check: the live WSDL differs, and sends over some protocol are affected"
        ),
        Exit.INTERRUPTED: Sentence("Ctrl-C (sandbox: 0)"),
    },
}
"""What each status means, by the commands that it is about."""


class _ExitStatuses(Epilog):
    """A table of exit statuses, and more text."""

    def __new__(cls, commands: str, more: str, never: Collection[Exit]) -> Self:
        """Keep what `render` makes the text of; the string itself is empty."""
        made = super().__new__(cls, "")
        made.parts = commands, more, never
        return made

    parts: tuple[str, str, Collection[Exit]]

    def render(self) -> str:
        """Return the text in the language of the command."""
        commands, more, never = self.parts
        lines = ["\b", tr("Exit status:")]
        for status, meaning in MEANINGS[commands].items():
            if status not in never:
                first = f"{status.value:3}  "
                text = translate(meaning)
                lines += wrap_cells(text, 72, first_indent=first, indent=" " * len(first))
        paragraphs = ["\n".join(lines)]
        for each in more.strip().split("\n\n") if more else ():
            text = each.removeprefix("\b\n")
            paragraphs.append(("\b\n" if text != each else "") + translate(text))
        return "\n\n".join(paragraphs)


def epilog(commands: str, more: str = "", *, never: Collection[Exit] = ()) -> Epilog:
    """Return the end of a command's help: its exit statuses, and more text.

    Args:
        commands: a key of `MEANINGS`.
        more: what comes after the statuses.
        never: the statuses that this one of the commands never has.
    """
    return _ExitStatuses(commands, more, never)
