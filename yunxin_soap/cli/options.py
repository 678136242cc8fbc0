"""What the commands share: how they end, what they print, and the client that they build."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from yunxin_soap.errors import (
    ConfigurationError,
    ContentConflict,
    InvalidRequest,
    LedgerError,
    NotInLedger,
    NotSent,
    OutcomeUnknown,
    Rejected,
    SendError,
    YunxinError,
)

if TYPE_CHECKING:
    from yunxin_soap.client import ClientBase

_Client = TypeVar("_Client", bound="ClientBase[Any]")

EXIT_STATUS: dict[type[YunxinError], int] = {
    ConfigurationError: 2,
    InvalidRequest: 2,
    Rejected: 3,
    NotSent: 4,
    OutcomeUnknown: 5,
    ContentConflict: 2,
    NotInLedger: 2,
    LedgerError: 6,
}


class Commands(click.Group):
    """Ends wrong usage as every other error ends: in one line, or in JSON if that is asked for."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and exit."""
        kwargs["standalone_mode"] = False
        arguments = sys.argv[1:] if kwargs.get("args") is None else [*kwargs["args"]]
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # What the terminal's encoding has no letters for must not end a command.
                stream.reconfigure(errors="backslashreplace")
        try:
            status = super().main(*args, **kwargs)
        except click.ClickException as error:
            fail(ConfigurationError(error.format_message()), "--json" in arguments)
        except click.Abort as aborted:
            if isinstance(aborted.__cause__, KeyboardInterrupt):
                click.echo("yunxin-soap: Interrupted.", err=True)
                sys.exit(130)
            error_at_prompt = ConfigurationError("Ended at the prompt; nothing was sent.")
            fail(error_at_prompt, "--json" in arguments)
        except OSError as error:
            # Nor is anything to be written at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):  # who reads has seen enough: "... | head"
                click.echo(f"yunxin-soap: It was broken off ({error}).", err=True)
            status = 1
        sys.exit(status if isinstance(status, int) else 0)


@contextmanager
def reporting(as_json: bool) -> Iterator[None]:
    """End with one clear line and the exit status of the outcome."""
    try:
        yield
    except YunxinError as error:
        fail(error, as_json)


def fail(error: YunxinError, as_json: bool) -> NoReturn:
    status = next(value for kind, value in EXIT_STATUS.items() if isinstance(error, kind))
    if as_json:
        print_json(_as_dict(error))
    else:
        click.echo(f"yunxin-soap: {error}", err=True)
    sys.exit(status)


def _as_dict(error: YunxinError) -> dict[str, Any]:
    described: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if not isinstance(error, LedgerError):  # of many submits there is no one outcome
        described.update(outcome="not_sent", safe_to_resend=True)
    if isinstance(error, SendError):
        described.update(outcome=error.outcome.value, safe_to_resend=error.safe_to_resend)
    if isinstance(error, Rejected):
        described.update(
            code=error.code,
            category=error.category.value,
            description_zh=error.description_zh,
            description_en=error.description_en,
            keyword=error.keyword,
            temporary=error.temporary,
            http_status=error.http_status,
        )
    if isinstance(error, OutcomeUnknown):
        described.update(excerpt=error.excerpt, http_status=error.http_status)
    return described


def build_client(
    kind: type[_Client], arguments: dict[str, Any], password_file: Any, *needed: str
) -> _Client:
    """Build a client of what was given, the environment, and a prompt for the password.

    Args:
        kind: of client.
        arguments: its arguments as they were given.
        password_file: an open file with the password on its first line, or None.
        needed: what must be given, here or in the environment.
    """
    for name in needed:
        option = f"--{name.replace('_', '-')}"
        if not arguments.get(name) and not os.environ.get(f"YUNXIN_{name.upper()}"):
            raise ConfigurationError(
                f"There is no {name.replace('_', ' ')}: give {option}, or set"
                f" YUNXIN_{name.upper()}."
            )
    if "user_pass" not in arguments:
        if password_file:
            arguments["user_pass"] = first_line(password_file)
        elif not os.environ.get("YUNXIN_USER_PASS") and sys.stdin.isatty():
            arguments["user_pass"] = click.prompt("Password", hide_input=True, err=True)
        elif not os.environ.get("YUNXIN_USER_PASS"):
            raise ConfigurationError(
                "There is no password: set YUNXIN_USER_PASS, give --password-file, or run it at a"
                " terminal to be asked."
            )
    return kind.from_env(**arguments)


def first_line(file: Any) -> str:
    # No more than the line: standard input may go on with the numbers.
    line = text_of(file, file.readline, ConfigurationError).rstrip("\r\n")
    if not line:
        raise ConfigurationError(f"{file.name} has no password on its first line.")
    return line


def lines_of(file: Any) -> list[str]:
    text = text_of(file, file.read, InvalidRequest)
    return [line for line in text.splitlines() if line.strip()]


def text_of(file: Any, read: Callable[[], str], failure: type[YunxinError]) -> str:
    try:
        return read()
    except UnicodeDecodeError:
        raise failure(f"{file.name} is not UTF-8 text: convert it first.") from None
    except OSError as error:
        raise failure(f"{file.name} cannot be read ({error.strerror}).") from None


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def local_time(at: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")


def print_json(value: Any) -> None:
    """Print JSON that any terminal's encoding can carry."""
    utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(value, ensure_ascii=not utf_8))
