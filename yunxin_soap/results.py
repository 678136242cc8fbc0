"""Reads the text that ``sendMesExt`` answers: a batch number, a code, or neither."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from yunxin_soap.codes import ResultCode
from yunxin_soap.errors import OutcomeUnknown, rejected_by_code
from yunxin_soap.redact import truncate_printable

# The manual's sample has 19 digits; 20 is the most that an unsigned 64-bit number has.
_BATCH_NUMBER = re.compile(r"[1-9][0-9]{0,19}")
_REFUSAL = re.compile(r"(-[1-9][0-9]{0,8})(?:[:：](?P<keyword>.*))?", re.DOTALL)
_REFUSAL_WITH_TEXT = re.compile(r"(-[1-9][0-9]{0,8})[\s,，;；(（].*", re.DOTALL)


@dataclass(frozen=True)
class Receipt:
    """Proof that the gateway accepted one submit."""

    batch_no: str
    """The vendor's batch number, one for the whole submit; digits, kept as text."""
    recipients: tuple[str, ...]
    """The numbers as they were sent: normalised, without duplicates, in the first order."""
    message: str
    """The text as it was sent, signature included."""
    channel: str
    extension: str
    protocol: str
    """The port that carried it: ``soap``, ``soap12``, ``http-get`` or ``http-post``."""

    def __repr__(self) -> str:
        """Show no number and no text: a receipt may end up in a log."""
        return (
            f"Receipt(batch_no={self.batch_no!r}, recipients=<{len(self.recipients)}>,"
            f" channel={self.channel!r}, protocol={self.protocol!r})"
        )


def parse_result(answer: str, redact: Callable[[str], str] = str) -> str:
    """Return the batch number that ``answer`` is; white space around it is ignored.

    Args:
        answer: the text that the method answered.
        redact: masks secrets in an answer that the error has to quote.

    Raises:
        Rejected: it is a negative code, documented or not.
        OutcomeUnknown: it is neither a batch number nor a code: empty, ``0``, text, a number
            of more than 20 digits.
    """
    text = answer.strip()
    if _BATCH_NUMBER.fullmatch(text):
        return text
    if refusal := _REFUSAL.fullmatch(text):
        code, word = int(refusal[1]), refusal["keyword"]
        named = code == ResultCode.BANNED_WORD and word is not None
        raise rejected_by_code(code, redact(word) if named else None)
    if refusal := _REFUSAL_WITH_TEXT.fullmatch(text):
        raise rejected_by_code(int(refusal[1]))
    quoted = truncate_printable(redact(text), 80)
    what = repr(quoted) if quoted else "an empty result"
    raise OutcomeUnknown(
        f"The gateway answered {what}, which is neither a batch number nor a code: whether the"
        " SMS was sent is unknown. Check with the vendor before you send it again.",
        excerpt=quoted,
    )
