"""The gateway behind the sandbox: it decides by the manual's rules, and keeps the balances."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from yunxin_soap.codes import ResultCode
from yunxin_soap.sandbox.asmx.handler import Fields
from yunxin_soap.sandbox.config import Account, Config

_CHINA = timezone(timedelta(hours=8))
_WELL_FORMED = re.compile(r"1[0-9]{10}")
_REAL = re.compile(r"1[3-9][0-9]{9}")
_SIGNED = re.compile(r".*【[^【】]+】", re.DOTALL)
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")

# Test numbers, like the test cards of payment companies. They work at any place among the
# recipients, once the account is authenticated. No operator has 154, so they belong to nobody, and
# a generator that counts up from 13800000000 or 15400000000 does not reach them.
_CODE_NUMBER = re.compile(r"154999900(?P<code>(?!00)[0-9]{2})")
ACCEPTED_THEN_ERROR = "15499991000"
ERROR = "15499991001"
_ERROR_TEXT = "Object reference not set to an instance of an object."


@dataclass(frozen=True)
class NumberRange:
    """Test numbers that have the same effect, as the page and the REST API show them."""

    first: str
    last: str
    description_zh: str
    description_en: str


TEST_NUMBERS = (
    NumberRange(
        "15499990001",
        "15499990099",
        "结果是末两位所表示的错误码：15499990014 得到 -14。",
        "The result is the code in the last two digits: 15499990014 gives -14.",
    ),
    NumberRange(
        ACCEPTED_THEN_ERROR,
        ACCEPTED_THEN_ERROR,
        "网关先接受，然后方法抛出异常：调用方无从得知。",
        "The gateway accepts it, then the method throws: the caller cannot know.",
    ),
    NumberRange(
        ERROR,
        ERROR,
        "方法在接受之前抛出异常：调用方看到的相同。",
        "The method throws before it accepts: the caller sees the same.",
    ),
)
"""All test numbers; `Config.test_numbers` switches them off."""


@dataclass(frozen=True)
class GatewayDecision:
    """What the gateway decided about one submission."""

    result: str | None = None
    """The batch number or the code that the method returns."""
    batch_no: str | None = None
    """The batch number if the submission was accepted."""
    error: str | None = None
    """The message of the exception if the method throws, even if the submission was accepted."""


class Gateway:
    """Decides about submissions by the manual's rules. Thread-safe.

    Args:
        config: accounts and word lists; the account ``demo`` / ``demo`` by default.
        now: returns the time, for the opening hours of channels; a naive time is China's.
        clock_ns: returns the nanoseconds since 1970, for batch numbers.
    """

    def __init__(
        self,
        config: Config | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(_CHINA),
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._config = config or Config()
        self._now, self._clock_ns = now, clock_ns
        self._accounts = {each.user_code: each for each in self._config.accounts}
        self._spent: dict[str, int] = {}
        self._last_batch = 0
        self._lock = threading.Lock()

    @property
    def test_numbers(self) -> tuple[NumberRange, ...]:
        """The test numbers; none if the configuration switches them off."""
        return TEST_NUMBERS if self._config.test_numbers else ()

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts. Assign to replace them."""
        with self._lock:
            return tuple(self._accounts.values())

    @accounts.setter
    def accounts(self, accounts: Iterable[Account]) -> None:
        with self._lock:
            self._accounts = {each.user_code: each for each in accounts}

    @property
    def passwords(self) -> set[str]:
        """The passwords of all accounts."""
        with self._lock:
            return {account.user_pass for account in self._accounts.values()}

    def authenticates(self, user_code: str, user_pass: str) -> bool:
        """Return whether an account has this user code and password."""
        with self._lock:
            return self._account(user_code, user_pass) is not None

    def _account(self, user_code: str, user_pass: str) -> Account | None:
        account = self._accounts.get(user_code)
        return account if account is not None and account.user_pass == user_pass else None

    def clear(self) -> None:
        """Restore the balance of every account."""
        with self._lock:
            self._spent.clear()

    def add_account(self, account: Account) -> None:
        """Add an account, or replace the one with that user code."""
        with self._lock:
            self._accounts[account.user_code] = account
            self._spent.pop(account.user_code, None)

    def decide(self, fields: Fields, remote: str) -> GatewayDecision:
        """Decide about one call of ``sendMesExt``, and charge the account if it is accepted.

        Args:
            fields: the six parameters; None is a null.
            remote: the IP address of the caller.
        """
        values = {name: value or "" for name, value in fields.items()}
        with self._lock:
            account = self._account(values["userCode"], values["userPass"])
            if account is None:
                return _rejection(ResultCode.BAD_CREDENTIALS)
            if account.ips and remote not in account.ips:
                return _rejection(ResultCode.INVALID_IP)
            numbers = values["DesNo"].split(",")
            rejection = (
                self._check_test_numbers(numbers)
                or self._check_channel(account, values["Channel"])
                or self._check_numbers(account, numbers)
                or self._check_message(account, values["Msg"], values["ExeNo"])
                or self._check_balance(account, len(numbers))
            )
            if rejection is not None:
                return rejection
            has_test_numbers = self._config.test_numbers
            if has_test_numbers and ERROR in numbers:
                return GatewayDecision(error=_ERROR_TEXT)
            batch_no = self._accept(account, len(numbers))
        if has_test_numbers and ACCEPTED_THEN_ERROR in numbers:
            return GatewayDecision(batch_no=batch_no, error=_ERROR_TEXT)
        return GatewayDecision(result=batch_no, batch_no=batch_no)

    def _accept(self, account: Account, numbers: int) -> str:
        self._spent[account.user_code] = self._spent.get(account.user_code, 0) + numbers
        # Nanoseconds since 1970 have 19 digits until 2286, as the vendor's batch numbers do.
        self._last_batch = max(self._last_batch + 1, self._clock_ns())
        return str(self._last_batch)

    def roll_back(self, fields: Fields) -> None:
        """Refund the account for an accepted submission that could not be stored."""
        with self._lock:
            numbers = (fields["DesNo"] or "").count(",") + 1
            # Another thread may have restored the balance meanwhile, by `clear` or `add_account`.
            spent = self._spent.get(fields["userCode"] or "", 0)
            self._spent[fields["userCode"] or ""] = max(0, spent - numbers)

    def _check_test_numbers(self, numbers: list[str]) -> GatewayDecision | None:
        if not self._config.test_numbers:
            return None
        for number in numbers:
            if found := _CODE_NUMBER.fullmatch(number):
                code = int(found["code"])
                banned = code == -ResultCode.BANNED_WORD
                return GatewayDecision("-6:促销" if banned else f"-{code}")
        return None

    def _check_channel(self, account: Account, channel: str) -> GatewayDecision | None:
        now = self._now()
        time_of_day = (now.astimezone(_CHINA) if now.tzinfo else now).time()
        if any(each.number == channel and each.is_open(time_of_day) for each in account.channels):
            return None
        return _rejection(ResultCode.NO_CHANNEL)

    def _check_numbers(self, account: Account, numbers: list[str]) -> GatewayDecision | None:
        if len(numbers) > 1000:
            return _rejection(ResultCode.TOO_MANY_NUMBERS)
        if len(numbers) > account.max_numbers:
            return _rejection(ResultCode.ABOVE_UPPER_LIMIT)
        if len(numbers) < account.min_numbers:
            return _rejection(ResultCode.BELOW_LOWER_LIMIT)
        for number in numbers:
            if not _WELL_FORMED.fullmatch(number):
                return _rejection(ResultCode.MALFORMED_NUMBER)
            if not _REAL.fullmatch(number):
                return _rejection(ResultCode.UNREAL_NUMBER)
            if number in account.blacklist:
                return _rejection(ResultCode.USER_BLACKLIST)
            if number in self._config.system_blacklist:
                return _rejection(ResultCode.SYSTEM_BLACKLIST)
        return None

    def _check_message(
        self, account: Account, message: str, extension: str
    ) -> GatewayDecision | None:
        if extension and not account.custom_extension:
            return _rejection(ResultCode.NO_FIXED_EXTENSION)
        if not _SIGNED.fullmatch(message):
            return _rejection(ResultCode.BAD_SIGNATURE)
        if _ILLEGAL.search(message):
            return _rejection(ResultCode.ILLEGAL_CHARACTERS)
        for word in self._config.banned_words:
            if word in message:
                return GatewayDecision(f"{int(ResultCode.BANNED_WORD)}:{word}")
        return None

    def _check_balance(self, account: Account, numbers: int) -> GatewayDecision | None:
        spent = self._spent.get(account.user_code, 0)
        if account.balance is not None and spent + numbers > account.balance:
            return _rejection(ResultCode.LOW_BALANCE)
        return None


def _rejection(code: ResultCode) -> GatewayDecision:
    return GatewayDecision(str(int(code)))
