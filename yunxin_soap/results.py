"""Parse the result of ``sendMesExt``: a batch number, a code, or neither."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from yunxin_soap.codes import ResultCode
from yunxin_soap.errors import OutcomeUnknown, SendError, rejected_by_code
from yunxin_soap.message import count_segments, utf16_length
from yunxin_soap.redact import truncate_printable
from yunxin_soap.sentences import Sentence

# A code may stand alone. Only a colon introduces the banned word of -6; other codes may be followed
# by an explanation behind any usual separator.
_CODE = re.compile(
    r"(?P<code>-[1-9][0-9]{0,8})(?:[:：](?P<after_colon>.*)|[\s,，;；(（](?P<text>.*))?", re.DOTALL
)
_ANOTHER_CODE = re.compile(r"[\s:：,，;；(（]-[1-9][0-9]{0,8}(?![0-9])")
_LONG_NUMBER = re.compile(r"\d{15}")
"""Digits that may be a batch number. No number of the codes' explanations is so long."""


@dataclass(frozen=True, init=False)
class Receipt:
    """Proof that the gateway accepted one submission."""

    batch_no: str
    """The vendor's batch number for the whole submission: digits, kept as text."""
    recipients: tuple[str, ...]
    """The numbers as they were sent: normalised, without duplicates, in the order given."""
    message: str
    """The message as it was sent, with its signature."""
    channel: str
    extension: str
    protocol: str
    """The protocol that carried it: ``soap``, ``soap12``, ``http-get`` or ``http-post``."""

    def __init__(
        self,
        batch_no: str,
        recipients: tuple[str, ...],
        message: str,
        channel: str,
        extension: str,
        protocol: str,
    ) -> None:
        # The generated method of a frozen class takes twice as long.
        values = self.__dict__
        values["batch_no"] = batch_no
        values["recipients"] = recipients
        values["message"] = message
        values["channel"] = channel
        values["extension"] = extension
        values["protocol"] = protocol

    @property
    def length(self) -> int:
        """The length of the message as the vendor counts it, in UTF-16 units.

        Most characters count as one, most emoji as two.
        """
        return utf16_length(self.message)

    @property
    def segments(self) -> int:
        """How many segments the vendor bills for each number, estimated from the length.

        One for up to 70 UTF-16 units, else one for each 67.
        """
        return count_segments(self.message)

    def __repr__(self) -> str:
        """Omit numbers and message: a receipt may be logged."""
        return (
            f"Receipt(batch_no={self.batch_no!r}, recipients=<{len(self.recipients)}>,"
            f" channel={self.channel!r}, protocol={self.protocol!r})"
        )


def parse_result(result: str, redact: Callable[[str], str] = str) -> str:
    """Return the batch number in a result. White space around it is ignored.

    A code with a number of 15 digits or more after it contradicts itself: the number may be a batch
    number. So does a code with another one after it, which may be -1. -6 with a colon is the
    exception, since what follows its colon is the banned word by the manual, and a banned word may
    be a number.

    Args:
        result: the text that the method returned.
        redact: masks secrets in what an error quotes of the result.

    Raises:
        Rejected: the result is a negative code, documented or not.
        OutcomeUnknown: the result is neither a batch number nor a code. It is empty, for example,
            or ``0``, another text, or a number of more than 20 digits. Or it contradicts itself.
    """
    if _is_batch_number(result):
        return result
    ending = _interpret(result, redact)
    # An error keeps this frame, and a result may echo the password.
    del result
    if isinstance(ending, SendError):
        raise ending
    return ending


def _is_batch_number(text: str) -> bool:
    # The manual's sample has 19 digits. An unsigned 64-bit number has at most 20.
    return text.isdigit() and text.isascii() and len(text) <= 20 and text[0] != "0"


def _interpret(result: str, redact: Callable[[str], str]) -> str | SendError:
    """Return the batch number in a result, or the error that the result means."""
    text = result.strip()
    if _is_batch_number(text):
        return text
    what = Sentence("which is neither a batch number nor a code")
    if found := _CODE.fullmatch(text):
        code, after_colon = int(found["code"]), found["after_colon"]
        if code == ResultCode.BANNED_WORD and after_colon is not None:
            return rejected_by_code(code, redact(after_colon))
        if _LONG_NUMBER.search(text):
            what = Sentence("a code with what may be a batch number")
        elif _ANOTHER_CODE.search(text):
            what = Sentence("a code with another code")
        else:
            return rejected_by_code(code)
    excerpt = truncate_printable(redact(text), 80)
    shown = repr(excerpt) if excerpt else Sentence("an empty result")
    return OutcomeUnknown(
        Sentence(
            "The gateway returned {shown}, {what}. It is unknown whether the SMS was sent. "
            "Check with the vendor before you send it again.",
            shown=shown,
            what=what,
        ),
        excerpt=excerpt,
    )
