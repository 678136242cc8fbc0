"""How a command ends: text or JSON on standard output, one line for an error, an exit status."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource
from click.shell_completion import split_arg_string

from yunxin_soap.cli.commands import Group
from yunxin_soap.cli.exit_status import Exit
from yunxin_soap.cli.language import (
    Plural,
    choose,
    count_of,
    tr,
    translate,
    translate_error,
    translate_stored,
    using,
)
from yunxin_soap.environment import explain_undecodable, is_undecodable
from yunxin_soap.errors import (
    ConfigurationError,
    ContentConflict,
    InvalidRequest,
    LedgerError,
    NotInLedger,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    SendExpired,
    YunxinError,
)
from yunxin_soap.files import file_id, open_private
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from yunxin_soap.campaign import ActiveRunner

EXIT_STATUS: dict[type[YunxinError], Exit] = {
    ConfigurationError: Exit.INVALID,
    InvalidRequest: Exit.INVALID,
    Rejected: Exit.REJECTED,
    NotSent: Exit.NOT_SENT,
    SendExpired: Exit.NOT_SENT,
    OutcomeUnknown: Exit.UNKNOWN,
    ContentConflict: Exit.INVALID,
    NotInLedger: Exit.INVALID,
    LedgerError: Exit.LEDGER_FAILED,
}
"""Subclasses stand before their base: the first match wins."""
_NAMED_IN_WORDS = ("channel", "extension", "signature")
"""The arguments whose errors start with "The channel", for example."""
_COMPLETE = "_YUNXIN_SOAP_COMPLETE"
"""The variable by which click is asked for completions."""
_NO_OUTCOME = {"outcome": None, "safe_to_resend": False, "retryable": False}
"""The entries of an error in JSON that has none of its own."""


class CommandGroup(Group):
    """A click group that reports wrong usage like any other error: as one line, or as JSON."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command and exit."""
        is_input_closed = sys.stdin is None
        _replace_closed_streams()
        kwargs["standalone_mode"] = False
        given = args[0] if args else kwargs.get("args")
        arguments = sys.argv[1:] if given is None else [*given]
        as_json = "--json" in arguments
        language = choose(_completed() or arguments, os.environ)
        with using(language, for_programs=as_json):
            _prepare_streams()
            if name := _find_undecodable(arguments, set(_options_with_value(self))):
                exit_with(ConfigurationError(explain_undecodable(name)), as_json)
            if wrong := _why_no_input(arguments, is_closed=is_input_closed):
                exit_with(ConfigurationError(wrong), as_json)
            self._run(as_json, *args, **kwargs)

    def _run(self, as_json: bool, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            status = super().main(*args, **kwargs)
        except click.ClickException as error:
            exit_with(ConfigurationError(error.format_message()), as_json)
        except click.Abort as aborted:
            if isinstance(aborted.__cause__, KeyboardInterrupt):
                click.echo(tr("yunxin-soap: Interrupted."), err=True)
                sys.exit(Exit.INTERRUPTED)
            error_at_prompt = ConfigurationError("Ended at the prompt; nothing was sent.")
            exit_with(error_at_prompt, as_json)
        except OSError as error:
            discard_rest(sys.stdout)
            if not isinstance(error, BrokenPipeError):  # the reader closed it, as "| head" does
                click.echo(
                    tr("yunxin-soap: The output cannot be written ({error}).", error=error),
                    err=True,
                )
            status = Exit.OUTPUT_FAILED
        sys.exit(status if isinstance(status, int) else 0)


def _prepare_streams() -> None:
    """Let no character outside the terminal's encoding end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _completed() -> list[str]:
    """Return the words of the command line that a shell asks to complete."""
    return split_arg_string(os.environ.get("COMP_WORDS", ""))[1:] if _COMPLETE in os.environ else []


def _options_with_value(command: click.Command) -> Iterator[str]:
    """Yield the options of a command, and of those in its group, that take a value."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            yield from parameter.opts
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _options_with_value(each)


def _find_undecodable(arguments: list[str], options: set[str]) -> str:
    """Return the name of the first argument that the locale's encoding cannot show, or "".

    Args:
        arguments: the command line.
        options: the options that take a value.
    """
    for before, each in zip(["", *arguments], arguments, strict=False):
        # A file may have any name.
        if is_undecodable(each) and not os.path.lexists(each):
            found = options & {before, each.partition("=")[0]}
            return found.pop() if found else Sentence("An argument")
    return ""


_INPUTS = ("--csv", "--excel", "--message-file", "--password-file", "--text", "--to-file")
"""The options of all commands that take a file to read; - is standard input."""


def _why_no_input(arguments: list[str], *, is_closed: bool) -> str:
    """Return why the options that read standard input cannot, or ""."""
    found = []
    for before, each in zip(["", *arguments], arguments, strict=False):
        option, _, value = (before, "=", each) if each == "-" else each.partition("=")
        if value == "-" and option in _INPUTS:
            found.append(option)
    if is_closed and found:
        return Sentence(
            "{option} - has nothing to read, because standard input is closed.", option=found[0]
        )
    if len(found) > 1:
        return Sentence(
            "{one} - and {other} - would both read standard input: name a file.",
            one=found[0],
            other=found[1],
        )
    return ""


def _replace_closed_streams() -> None:
    """Use the null device for each standard stream that the caller closed, as ``>&-`` does.

    Python has None there, which would end a command with a traceback after an SMS was accepted.
    The null device also takes the free descriptor, which the ledger or a connection would get.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - never closed
            setattr(sys, name, null)


@contextmanager
def handle_errors(as_json: bool) -> Iterator[None]:
    """Report an error of the package and exit with its status.

    Args:
        as_json: whether the report is a JSON object on standard output.
    """
    try:
        yield
    except YunxinError as error:
        exit_with(error, as_json)


@contextmanager
def outcomes_unlogged() -> Iterator[None]:
    """Keep the outcome of each submission out of the log: the command itself says it."""

    def is_other(record: logging.LogRecord) -> bool:
        return not hasattr(record, "outcome")

    log = logging.getLogger("yunxin_soap")
    log.addFilter(is_other)
    try:
        yield
    finally:
        log.removeFilter(is_other)


def exit_with(error: YunxinError, as_json: bool) -> NoReturn:
    """Report an error and exit with the status of `EXIT_STATUS`.

    Args:
        error: the error.
        as_json: whether the report is a JSON object on standard output.
    """
    status = next(value for kind, value in EXIT_STATUS.items() if isinstance(error, kind))
    message = _name_options(translate_error(error))
    if as_json:
        print_json({**_as_dict(error), "message": message})
    else:
        print_text(f"yunxin-soap: {message}", err=True)
    sys.exit(status)


def _name_options(message: str) -> str:
    """Replace the names of Python arguments in an error by those that the operator used.

    ``timeout=-1.0 must be`` becomes ``--timeout -1.0 must be``, or ``YUNXIN_TIMEOUT=-1.0 must be``
    where the value came from the environment.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return message
    for parameter in context.command.params:
        if not isinstance(parameter, click.Option):
            continue
        name = parameter.name
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        variable = f"YUNXIN_{name.upper()}"
        in_environment = not given and bool(os.environ.get(variable, "").strip())
        option, sign = (variable, "=") if in_environment else (parameter.opts[0], " ")
        # A message starts with a bare name, or has name=value; "timeout=" is no "total_timeout=".
        message = re.sub(rf"^{name}(?= )", option, message)
        if name in _NAMED_IN_WORDS:
            message = re.sub(rf"^The {name}(?= )", option, message)
        if parameter.is_flag:
            message = re.sub(rf"(?<![\w-]){name}=True\b", option, message)
        message = re.sub(rf"(?<![\w-]){name}=(?=[\w'\"-])", f"{option}{sign}", message)
        message = re.sub(rf"(?<![\w-]){name}=", option, message)
    # Not every command has --proxy, and the password comes from one of three places.
    message = re.sub(r"^proxy(?= )", "YUNXIN_PROXY", message)
    return re.sub(r"^user_pass(?= )", "The password", message)


def _as_dict(error: YunxinError) -> dict[str, Any]:
    # The same keys for every error: a script need not know which errors concern a submission.
    described = error.to_dict()
    for key, value in _NO_OUTCOME.items():
        described.setdefault(key, value)
    if isinstance(error, ConfigurationError):
        # The command found it before it sent anything, so the outcome is known.
        described.update(outcome=Outcome.NOT_SENT.value, safe_to_resend=True, retryable=False)
    return described


def printable(text: str) -> str:
    """Escape what a terminal would act on instead of showing it, as in a reason from a gateway."""
    if text.isprintable():
        return text
    return "".join(json.dumps(each)[1:-1] if _is_control(each) else each for each in text)


def _is_control(character: str) -> bool:
    # Python takes every space but one for not printable, and Chinese texts have a wide one.
    category = unicodedata.category(character)
    return category.startswith("C") or category in ("Zl", "Zp")


def print_text(text: str, *, err: bool = False) -> None:
    """Print a line that may have texts from a ledger in it."""
    click.echo(printable(text), err=err)


def print_notes(notes: Iterable[str]) -> None:
    """Print what a person should know before anything is sent, a line each, on standard error."""
    for note in notes:
        print_text(tr("yunxin-soap: Note: {note}", note=translate(note)), err=True)


def format_json(value: Any) -> str:
    """Return JSON in characters that the terminal's encoding has; times are in ISO 8601."""
    utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not utf_8, default=lambda at: at.isoformat())
    return printable(text)


def print_json(value: Any) -> None:
    """Print JSON on one line."""
    click.echo(format_json(value))


def print_result(as_json: bool, key: str, value: Any, text: str) -> None:
    """Print one value: as a JSON object with one key, or as text.

    Args:
        as_json: which of the two.
        key: the key in the JSON object.
        value: its value.
        text: the sentence that is printed otherwise.
    """
    if as_json:
        print_json({key: value})
    else:
        print_text(text)


def discard_rest(stream: IO[str]) -> None:
    """Point a broken stream at the null device, so that the flush at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_COUNTED = {
    "line": Plural("{count} line", "{count} lines"),
    "number": Plural("{count} number", "{count} numbers"),
    "pending number": Plural("{count} pending number", "{count} pending numbers"),
    "recipient": Plural("{count} recipient", "{count} recipients"),
    "rejected submission": Plural("{count} rejected submission", "{count} rejected submissions"),
    "runner": Plural("{count} runner", "{count} runners"),
    "segment": Plural("{count} segment", "{count} segments"),
    "submission": Plural("{count} submission", "{count} submissions"),
    "text": Plural("{count} text", "{count} texts"),
}


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1 line`` or ``2 lines``."""
    return count_of(_COUNTED[noun], count)


def them(count: int) -> str:
    """Return the pronoun for so many things."""
    return tr("it") if count == 1 else tr("them")


_STATES = {
    "open": Sentence("open"),
    "paused": Sentence("paused"),
    "done": Sentence("done"),
    "cancelled": Sentence("cancelled"),
    "queued": Sentence("queued"),
    "pending": Sentence("pending"),
    "submitting": Sentence("submitting"),
    "accepted": Sentence("accepted"),
    "rejected": Sentence("rejected"),
    "unknown": Sentence("unknown"),
    "suppressed": Sentence("suppressed"),
    "split": Sentence("split"),
}
"""By the values of `State` and `CampaignState`, which are not imported: they bring SQLAlchemy."""


def state_word(state: Enum) -> str:
    """Return the name of a state, of a campaign or of a submission."""
    return translate(_STATES[state.value])


def shorten(text: str, limit: int = 100) -> str:
    """Return a text that is no longer than so many characters; an ellipsis stands for the rest."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def describe_wait(reason: str, until: datetime, zone: ZoneInfo) -> str:
    """Say until when something waits, and why."""
    from yunxin_soap.campaign.timezones import format_time

    return tr(
        "waiting until {until}: {reason}",
        until=format_time(until, zone),
        reason=translate_stored(reason),
    )


def describe_lease(runner: ActiveRunner, zone: ZoneInfo) -> str:
    """Say when what a runner has in flight becomes unknown."""
    from yunxin_soap.campaign.timezones import format_time

    at = format_time(runner.counts_as_stalled_at, zone)
    return tr("unknown at {at} if it sends no heartbeat before", at=at)


def refuse_overwrite(output: str | None, **inputs: str | None) -> None:
    """Check that an output file is none of the input files.

    A mistake would cost the list, or the record of the numbers that received a message.

    Args:
        output: the path of the output; "-" is standard output.
        inputs: the path of each input by its role; "-" is standard input.

    Raises:
        ConfigurationError: the output is one of them, by its path or by its inode.
    """
    for role, path in inputs.items():
        if not output or not path:
            continue
        found = file_id(sys.stdin.fileno() if path == "-" else path)
        # Paths are compared as well: neither file may exist yet.
        same_path = Path(output).resolve() == Path(path).resolve() and output != "-"
        if same_path or (found is not None and found == file_id(output)):
            raise ConfigurationError(
                Sentence(
                    "{output} is the {role}: name another file to write to.",
                    output=output,
                    role=role,
                )
            )


def refuse_ledger_overwrite(output: str | None, ledger: str | None) -> None:
    """Check that an output file is none of the ledger's SQLite files.

    Args:
        output: the path of the output; "-" is standard output.
        ledger: the ledger's path or URL, as it was given.

    Raises:
        ConfigurationError: the output is one of them.
    """
    from yunxin_soap.campaign.storage.engine import file_of

    file = file_of(ledger) if ledger else None
    for suffix in ("", "-wal", "-shm") if file else ():
        refuse_overwrite(output, ledger=f"{file}{suffix}")


@contextmanager
def open_output(path: str, *, encoding: str) -> Iterator[IO[str]]:
    """Open a file to write to, which only its owner may read; "-" is standard output.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    try:
        with (
            click.open_file("-", "w", encoding=encoding)
            if path == "-"
            else open_private(path, encoding=encoding)
        ) as file:
            yield file
    except OSError as error:
        if path == "-":
            raise
        raise unwritable(path, error) from None


def unwritable(path: str, error: OSError) -> ConfigurationError:
    """Return the error for a file that cannot be written."""
    return ConfigurationError(
        Sentence(
            "{path} cannot be written ({problem}): check the disk and the "
            "permissions, or name another file.",
            path=path,
            problem=error.strerror,
        )
    )
