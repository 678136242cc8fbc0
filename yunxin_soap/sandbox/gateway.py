"""The gateway behind the sandbox: the manual's rules applied, and what was accepted kept."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from yunxin_soap.codes import ResultCode
from yunxin_soap.sandbox.arrivals.bounded import Bounded, text_size
from yunxin_soap.sandbox.asmx.handler import Fields, MethodError
from yunxin_soap.sandbox.config import Account, Config
from yunxin_soap.wsdl import ProtocolName

_CHINA = timezone(timedelta(hours=8))
_WELL_FORMED = re.compile(r"1[0-9]{10}")
_REAL = re.compile(r"1[3-9][0-9]{9}")
_SIGNED = re.compile(r".*【[^【】]+】", re.DOTALL)
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")

# Numbers with a meaning, as payment companies have test cards. They count wherever they stand
# among the recipients, once the account is known.
_CODE_NUMBER = re.compile(r"139000010(?P<code>[0-9]{2})")
"""13900001003 is answered with -3, and so on up to 13900001099."""
ACCEPTED_THEN_ERROR = "13900002000"
"""Accepted, and then the method throws: the SMS is in the inbox, and the caller cannot know."""
ERROR = "13900002001"
"""The method throws before it accepts anything; to the caller it looks the same."""


@dataclass(frozen=True)
class Submission:
    """A submit that was accepted."""

    batch_no: str
    received_at: datetime
    port: ProtocolName
    user_code: str
    recipients: tuple[str, ...]
    """The numbers as they came in ``DesNo``, in that order."""
    message: str
    channel: str
    extension: str


class Gateway:
    """Decides about submits by the manual's rules; safe to use from several threads.

    Args:
        config: accounts and word lists; the account ``demo`` / ``demo`` by default.
        now: tells the time, for the channels' hours; China's where it names no zone.
    """

    def __init__(
        self,
        config: Config | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(_CHINA),
    ) -> None:
        self._config = config or Config()
        self._now = now
        self._accounts = {each.user_code: each for each in self._config.accounts}
        self._spent: dict[str, int] = {}
        self._inbox: Bounded[Submission] = Bounded(_size)
        self._last_batch = 0
        self._lock = threading.Lock()

    @property
    def inbox(self) -> tuple[Submission, ...]:
        """What was accepted, oldest first; as much as is kept in memory."""
        with self._lock:
            return tuple(self._inbox)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts; set it to let in these and no others."""
        with self._lock:
            return tuple(self._accounts.values())

    @accounts.setter
    def accounts(self, accounts: Iterable[Account]) -> None:
        with self._lock:
            self._accounts = {each.user_code: each for each in accounts}

    @property
    def passwords(self) -> set[str]:
        """Those of all accounts."""
        with self._lock:
            return {account.user_pass for account in self._accounts.values()}

    def knows(self, user_code: str, user_pass: str) -> bool:
        """Whether there is such an account, and this is its password."""
        with self._lock:
            return self._account(user_code, user_pass) is not None

    def _account(self, user_code: str, user_pass: str) -> Account | None:
        account = self._accounts.get(user_code)
        return account if account is not None and account.user_pass == user_pass else None

    def clear(self) -> None:
        """Empty the inbox and give every account its balance back."""
        with self._lock:
            self._inbox.clear()
            self._spent.clear()

    def add_account(self, account: Account) -> None:
        """Let one more account in, or replace the one of that name."""
        with self._lock:
            self._accounts[account.user_code] = account
            self._spent.pop(account.user_code, None)

    def submit(self, fields: Fields, port: ProtocolName, remote: str) -> str:
        """Answer one call of ``sendMesExt`` from the address ``remote``.

        Raises:
            MethodError: a test number asks for it.
        """
        values = {name: value or "" for name, value in fields.items()}
        with self._lock:
            account = self._account(values["userCode"], values["userPass"])
            if account is None:
                return _answer(ResultCode.BAD_CREDENTIALS)
            if account.ips and remote not in account.ips:
                return _answer(ResultCode.INVALID_IP)
            numbers = tuple(values["DesNo"].split(","))
            refusal = (
                self._asked_for(numbers)
                or self._refuse_channel(account, values["Channel"])
                or self._refuse_numbers(account, numbers)
                or self._refuse_message(account, values["Msg"], values["ExeNo"])
                or self._refuse_balance(account, len(numbers))
            )
            if refusal:
                return refusal
            if ERROR in numbers:
                raise MethodError("Object reference not set to an instance of an object.")
            batch_no = self._accept(account, numbers, values, port)
        if ACCEPTED_THEN_ERROR in numbers:
            raise MethodError("Object reference not set to an instance of an object.", batch_no)
        return batch_no

    def _accept(
        self, account: Account, numbers: tuple[str, ...], values: dict[str, str], port: ProtocolName
    ) -> str:
        self._spent[account.user_code] = self._spent.get(account.user_code, 0) + len(numbers)
        # Nanoseconds since 1970 have 19 digits until 2286, as the vendor's batch numbers do.
        self._last_batch = max(self._last_batch + 1, time.time_ns())
        submission = Submission(
            batch_no=str(self._last_batch),
            received_at=self._now(),
            port=port,
            user_code=account.user_code,
            recipients=numbers,
            message=values["Msg"],
            channel=values["Channel"],
            extension=values["ExeNo"],
        )
        self._inbox.append(submission)
        return submission.batch_no

    def take_back(self, batch_no: str) -> None:
        """Undo an acceptance that could not be kept."""
        with self._lock:
            submission = self._inbox.pop()
            assert submission.batch_no == batch_no
            self._spent[submission.user_code] -= len(submission.recipients)

    def _asked_for(self, numbers: tuple[str, ...]) -> str | None:
        for number in numbers:
            found = _CODE_NUMBER.fullmatch(number)
            if found and (code := int(found["code"])):
                return "-6:促销" if code == -ResultCode.BANNED_WORD else f"-{code}"
        return None

    def _refuse_channel(self, account: Account, channel: str) -> str | None:
        now = self._now()
        time_of_day = (now.astimezone(_CHINA) if now.tzinfo else now).time()
        if any(each.number == channel and each.is_open(time_of_day) for each in account.channels):
            return None
        return _answer(ResultCode.NO_CHANNEL)

    def _refuse_numbers(self, account: Account, numbers: tuple[str, ...]) -> str | None:
        if len(numbers) > 1000:
            return _answer(ResultCode.TOO_MANY_NUMBERS)
        if len(numbers) > account.max_numbers:
            return _answer(ResultCode.ABOVE_UPPER_LIMIT)
        if len(numbers) < account.min_numbers:
            return _answer(ResultCode.BELOW_LOWER_LIMIT)
        for number in numbers:
            if not _WELL_FORMED.fullmatch(number):
                return _answer(ResultCode.MALFORMED_NUMBER)
            if not _REAL.fullmatch(number):
                return _answer(ResultCode.UNREAL_NUMBER)
            if number in account.blacklist:
                return _answer(ResultCode.USER_BLACKLIST)
            if number in self._config.system_blacklist:
                return _answer(ResultCode.SYSTEM_BLACKLIST)
        return None

    def _refuse_message(self, account: Account, message: str, extension: str) -> str | None:
        if extension and not account.custom_extension:
            return _answer(ResultCode.NO_FIXED_EXTENSION)
        if not _SIGNED.fullmatch(message):
            return _answer(ResultCode.BAD_SIGNATURE)
        if _ILLEGAL.search(message):
            return _answer(ResultCode.ILLEGAL_CHARACTERS)
        for word in self._config.banned_words:
            if word in message:
                return f"{_answer(ResultCode.BANNED_WORD)}:{word}"
        return None

    def _refuse_balance(self, account: Account, numbers: int) -> str | None:
        spent = self._spent.get(account.user_code, 0)
        if account.balance is not None and spent + numbers > account.balance:
            return _answer(ResultCode.LOW_BALANCE)
        return None


def _size(submission: Submission) -> int:
    texts = (submission.message, submission.user_code, submission.extension)
    return text_size(*texts) + 72 * len(submission.recipients)


def _answer(code: ResultCode) -> str:
    return str(int(code))
