"""Parse the result of ``sendMesExt``: a batch number, a code, or neither."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from yunxin_soap.codes import ResultCode
from yunxin_soap.errors import OutcomeUnknown, rejected_by_code
from yunxin_soap.message import count_segments, utf16_length
from yunxin_soap.redact import truncate_printable

# The manual's sample has 19 digits. An unsigned 64-bit number has at most 20.
_BATCH_NUMBER = re.compile(r"[1-9][0-9]{0,19}")
_CODE = re.compile(r"(-[1-9][0-9]{0,8})(?:[:：](?P<keyword>.*))?", re.DOTALL)
_CODE_WITH_TEXT = re.compile(r"(-[1-9][0-9]{0,8})[\s,，;；(（].*", re.DOTALL)


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

    Args:
        result: the text that the method returned.
        redact: masks secrets in what an error quotes of the result.

    Raises:
        Rejected: the result is a negative code, documented or not.
        OutcomeUnknown: the result is neither a batch number nor a code. It is empty, for example,
            or ``0``, another text, or a number of more than 20 digits.
    """
    text = result.strip()
    if _BATCH_NUMBER.fullmatch(text):
        return text
    if found := _CODE.fullmatch(text):
        code, keyword = int(found[1]), found["keyword"]
        has_keyword = code == ResultCode.BANNED_WORD and keyword is not None
        raise rejected_by_code(code, redact(keyword) if has_keyword else None)
    if found := _CODE_WITH_TEXT.fullmatch(text):
        raise rejected_by_code(int(found[1]))
    excerpt = truncate_printable(redact(text), 80)
    shown = repr(excerpt) if excerpt else "an empty result"
    raise OutcomeUnknown(
        f"The gateway returned {shown}, which is neither a batch number nor a code. It is"
        " unknown whether the SMS was sent. Check with the vendor before you send it again.",
        excerpt=excerpt,
    )
