"""The exit statuses of every command, in one table, which the reference shows, too."""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from enum import IntEnum


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

MEANINGS: dict[str, dict[Exit, str]] = {
    SEND: {
        Exit.DONE: "accepted: the batch number is printed",
        Exit.OUTPUT_FAILED: "the output cannot be written (after an accepted submission: 0)",
        Exit.INVALID: "the options, the settings or the request are invalid; nothing was sent",
        Exit.REJECTED: "rejected by the gateway; fix the cause, then send again",
        Exit.NOT_SENT: "not sent: the gateway was not reached; you may send again at once",
        Exit.UNKNOWN: "unknown: the SMS may have been sent; check before you send it again",
        Exit.LEDGER_FAILED: "campaign test: the ledger cannot be used",
        Exit.INTERRUPTED: (
            "Ctrl-C before the submission (during it: 5; at the password prompt: 2)"
        ),
    },
    RUN: {
        Exit.DONE: "every number was accepted, or is on the do-not-send list",
        Exit.OUTPUT_FAILED: "the output cannot be written",
        Exit.INVALID: "the options, the settings or the name are invalid, or the answer was no",
        Exit.REJECTED: "some numbers were rejected or cancelled, or their message is on hold",
        Exit.NOT_SENT: "some numbers are still pending: the campaign is paused, or was stopped",
        Exit.UNKNOWN: "some outcomes are unknown: those SMS may have been sent",
        Exit.LEDGER_FAILED: "the ledger cannot be used",
        Exit.INTERRUPTED: (
            "Ctrl-C before the run (at the password prompt: 2), or while watching one"
        ),
    },
    CAMPAIGN: {
        Exit.DONE: "done",
        Exit.OUTPUT_FAILED: "the output cannot be written",
        Exit.INVALID: (
            "the options, the list or the name are invalid, or the campaign is in a state that"
            " does not allow it"
        ),
        Exit.LEDGER_FAILED: "the ledger cannot be used",
        Exit.INTERRUPTED: "Ctrl-C",
    },
    WORKER: {
        Exit.DONE: "stopped by a signal, and nothing was in flight any more",
        Exit.INVALID: "the options or the settings are invalid",
        Exit.UNKNOWN: "stopped by a second signal: what was in flight is unknown",
        Exit.LEDGER_FAILED: "the ledger cannot be opened (later it is waited for)",
        Exit.INTERRUPTED: "Ctrl-C before it began (at the password prompt: 2)",
    },
    OTHER: {
        Exit.DONE: "done",
        Exit.OUTPUT_FAILED: "the output cannot be written",
        Exit.INVALID: (
            "the options or the settings are invalid; wsdl: it does not fit, or cannot be fetched"
            " or written"
        ),
        Exit.WSDL_DIFFERS: "wsdl check: the live WSDL differs, but sends are not affected",
        Exit.WSDL_AFFECTS_SENDS: (
            "wsdl check: the live WSDL differs, and sends over some protocol are affected"
        ),
        Exit.INTERRUPTED: "Ctrl-C (sandbox: 0)",
    },
}
"""What each status means, by the commands that it is about."""


def epilog(commands: str, more: str = "", *, never: Collection[Exit] = ()) -> str:
    """Return the end of a command's help: its exit statuses, and more text.

    Args:
        commands: a key of `MEANINGS`.
        more: what comes after the statuses.
        never: the statuses that this one of the commands never has.
    """
    lines = ["\b", "Exit status:"]
    for status, meaning in MEANINGS[commands].items():
        if status in never:
            continue
        lines += textwrap.wrap(
            meaning, 72, initial_indent=f"{status.value:3}  ", subsequent_indent=" " * 5
        )
    return "\n".join(lines) + "\n" + more
