"""Options that several commands share, and the client, the ledger and the text they lead to."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from collections.abc import Callable
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import click

from yunxin_soap.cli.commands import Option, option
from yunxin_soap.cli.completion import complete_campaign, complete_protocol
from yunxin_soap.cli.language import tr, translate_error
from yunxin_soap.encoding import open_text
from yunxin_soap.environment import explain_undecodable, is_undecodable, read_variable
from yunxin_soap.errors import ConfigurationError, YunxinError
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.campaign import Ledger
    from yunxin_soap.client import ClientBase
    from yunxin_soap.settings import ClientArguments

_Client = TypeVar("_Client", bound="ClientBase[Any]")
_T = TypeVar("_T")
_Command = Callable[..., None]
_Decorator = Callable[[_Command], _Command]
_MAX_LINES = 100_001
"""Lines with numbers for one submission that are read. So many are too many in any case."""


def combine(*options: Callable[[Any], Any]) -> _Decorator:
    """Return one decorator for several options, which the help lists in the given order."""

    def decorate(decorated: _Command) -> _Command:
        for each in reversed(options):
            decorated = each(decorated)
        return decorated

    return decorate


class ApplicationSettings(dict[str, Any]):
    """The settings of an application that calls the command line, as the root context's ``obj``.

    The keys are those of `Client`'s arguments, and ``ledger``. They come before the environment,
    and after the options.
    """

    program = "yunxin-soap"
    """How a user calls the command line: what a command tells to run next begins with it."""


def application_settings() -> ApplicationSettings:
    """Return the settings of the application that has called this command; none by default."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(ApplicationSettings)
    return ApplicationSettings() if found is None else found


class VariableOption(Option):
    """An option that a ``YUNXIN_*`` variable may set, as `read_variable` reads it."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the application's setting or of the variable, or None."""
        assert isinstance(self.envvar, str)
        name = self.envvar.removeprefix("YUNXIN_")
        settings = ctx.find_object(ApplicationSettings) or ApplicationSettings()
        if (value := settings.get(name.lower())) is not None:
            return str(value)
        try:
            return read_variable(name)
        except ConfigurationError as error:
            raise click.ClickException(translate_error(error)) from None


def _refuse_password(
    _context: click.Context, _parameter: click.Parameter, address: str | None
) -> str | None:
    if address is not None and "@" in address:
        # Not quoted: it contains a password, as a list of the processes does.
        raise click.ClickException(
            tr("--proxy has a user name: set YUNXIN_PROXY instead, which other users cannot see.")
        )
    return address


proxy_option = option(
    "--proxy",
    callback=_refuse_password,
    variable="PROXY",
    help="An http or https proxy, such as http://proxy.example:3128. One with a password comes from"
    " the variable.",
)
json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")
client_options = combine(
    option("--user-code", variable="USER_CODE", help="The account's login name."),
    option(
        "--password-file",
        type=click.File("r", encoding="utf-8-sig"),
        help="A file with the password on its first line.",
    ),
    option(
        "--protocol",
        shell_complete=complete_protocol,
        variable="PROTOCOL",
        help="soap (default), soap12, http-get or http-post.",
    ),
    option("--endpoint", variable="ENDPOINT", help="The URL of the service's page."),
    proxy_option,
    option(
        "--timeout",
        type=float,
        variable="TIMEOUT",
        help="Seconds from the start of sending to the end of the response (default 30).",
    ),
)
"""How to reach the gateway; `build_client` takes them."""
LEDGER_AND_GATEWAY = Sentence(
    "The ledger is --ledger or YUNXIN_LEDGER: an SQLite file or postgresql://... or mysql://...;"
    ' the account and the gateway are those of "send".'
)
"""The end of the help of a command that sends what is in the ledger."""
ledger_option = option(
    "--ledger",
    "ledger_url",
    cls=VariableOption,
    envvar="YUNXIN_LEDGER",
    show_envvar=True,
    metavar="FILE|URL",
    help="SQLite file, or URL of a database in PostgreSQL (?schema=NAME: in that schema),"
    " MySQL or MariaDB.",
)
ledger_options = combine(ledger_option, json_option)


def given_arguments(**options: Any) -> ClientArguments:
    """Return the arguments of a client that the command line gave.

    Args:
        options: the values of `client_options` and of other arguments; None was not given.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return cast("ClientArguments", given)


def name_in_command(name: str) -> str:
    """Return a campaign's name as it stands in a command that a user is told to run."""
    # A name that starts with a dash would be an option.
    return f"{'-- ' if name.startswith('-') else ''}{shlex.quote(name)}"


_REQUIRED = {"user_code": Sentence("user code"), "channel": Sentence("channel")}
"""The arguments without a default, and what each is called."""


def build_client(
    kind: type[_Client],
    arguments: ClientArguments,
    password_file: IO[str] | None,
    *required: str,
) -> _Client:
    """Build a client from options, the environment and, for the password, a prompt.

    Args:
        kind: the class of the client.
        arguments: its arguments from the command line.
        password_file: an open file with the password on its first line.
        required: the arguments that the command line or the environment must give.

    Raises:
        ConfigurationError: an argument is missing or invalid.
    """
    replaced = {"ledger", "user_pass"} if password_file else {"ledger"}
    own = {name: value for name, value in application_settings().items() if name not in replaced}
    arguments = cast("ClientArguments", {**own, **arguments})
    for name in required:
        option = f"--{name.replace('_', '-')}"
        if not dict(arguments).get(name) and not read_variable(name.upper()):
            raise ConfigurationError(
                Sentence(
                    "There is no {what}: give {option}, or set YUNXIN_{name}.",
                    what=_REQUIRED[name],
                    option=option,
                    name=name.upper(),
                )
            )
    if "user_pass" not in arguments:
        if password_file:
            arguments["user_pass"] = read_password(password_file)
        elif not read_variable("USER_PASS") and sys.stdin.isatty():
            arguments["user_pass"] = _read_typed(
                lambda: click.prompt(tr("Password"), hide_input=True, err=True)
            )
        elif not read_variable("USER_PASS"):
            raise ConfigurationError(
                "There is no password: set YUNXIN_USER_PASS, give --password-file, or run the"
                " command at a terminal, which prompts for it."
            )
    return kind.from_env(**arguments)


def open_ledger(url: str | None, *, create: bool = False) -> Ledger:
    """Open the ledger of ``--ledger``.

    Raises:
        ConfigurationError: the option and YUNXIN_LEDGER are both missing.
        LedgerError: the ledger cannot be opened.
    """
    from yunxin_soap.campaign import Ledger

    if not url:
        raise ConfigurationError("There is no ledger: give --ledger FILE, or set YUNXIN_LEDGER.")
    return Ledger(url, create=create)


def read_password(file: IO[str]) -> str:
    """Read the first line of a file.

    Raises:
        ConfigurationError: the line is empty or unreadable.
    """
    line = read_text(file, file.readline, ConfigurationError).rstrip("\r\n")
    if not line:
        raise ConfigurationError(
            Sentence("{file} has no password on its first line: write it there.", file=file.name)
        )
    return line


def read_numbers(file: IO[bytes]) -> list[str]:
    """Read the lines of a file that are not blank, as ``campaign plan --text`` reads them.

    Raises:
        ConfigurationError: the file is unreadable, or its encoding is none that is detected.
    """
    with open_text(file, None) as text:
        return [line.rstrip("\r\n") for line in islice(text, _MAX_LINES) if line.strip()]


def read_text(file: IO[str], read: Callable[[], str], error_type: type[YunxinError]) -> str:
    """Read from a UTF-8 file.

    Args:
        file: the open file.
        read: its method to call.
        error_type: the error to raise if the file is not UTF-8 or cannot be read.
    """
    try:
        return read()
    except UnicodeDecodeError:
        raise error_type(
            Sentence("{file} is not UTF-8 text: convert it first.", file=file.name)
        ) from None
    except OSError as error:
        raise error_type(
            Sentence(
                "{file} cannot be read ({problem}): check its name and its permissions.",
                file=file.name,
                problem=error.strerror,
            )
        ) from None


timezone_option = option(
    "--timezone",
    cls=VariableOption,
    envvar="YUNXIN_TIMEZONE",
    show_envvar=True,
    default="Asia/Shanghai",
    show_default=True,
    help="The time zone of the times that are shown; with run and resume, of --sending-hours and"
    " --from too.",
)
yes_option = option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask at a terminal whether to go on.

    Args:
        question: what the operator is to confirm.
        yes: whether ``--yes`` was given.

    Raises:
        ConfigurationError: the answer is no, or there is no terminal to ask at.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("There is no terminal to ask for confirmation at: give --yes.")
    ask(question, refusal=Sentence("Nothing was changed."))


def ask(question: str, *, refusal: str) -> None:
    """Ask at a terminal whether to go on.

    Args:
        question: what the operator is to confirm.
        refusal: the error if the answer is no, or if the input ends.

    Raises:
        ConfigurationError: the answer is no.
    """
    try:
        is_confirmed = _read_typed(lambda: click.confirm(question, err=True))
    except click.Abort as aborted:
        if isinstance(aborted.__context__, KeyboardInterrupt):
            raise click.Abort from aborted.__context__
        is_confirmed = False
    if not is_confirmed:
        raise ConfigurationError(refusal)


def _read_typed(read: Callable[[], _T]) -> _T:
    """Return what a prompt read.

    Raises:
        ConfigurationError: what was typed is in another encoding than the locale's.
    """
    try:
        typed = read()
        if not (isinstance(typed, str) and is_undecodable(typed)):
            return typed
    except UnicodeDecodeError:
        pass
    raise ConfigurationError(explain_undecodable(Sentence("What was typed")))


name_argument = click.argument("name", shell_complete=complete_campaign)
optional_name_argument = click.argument("name", required=False, shell_complete=complete_campaign)
key_option = option("--key", help="The key of a single send, instead of a campaign's name.")


def check_target(name: str | None, key: str | None, **campaign_options: object) -> None:
    """Check that a command is about one campaign, or about one single send.

    Args:
        name: the campaign.
        key: the key of the single send.
        campaign_options: the values of the options that only a campaign has.

    Raises:
        ConfigurationError: both are given or neither, or an option does not go with the key.
    """
    if (name is None) == (key is None):
        raise ConfigurationError(
            "Give either the name of a campaign or the --key of a single send."
        )
    for only, value in campaign_options.items():
        if key is not None and value not in (None, ()):
            raise ConfigurationError(
                Sentence(
                    "--{option} goes with a campaign, not with --key: leave one of them out.",
                    option=only,
                )
            )


def _current_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a uid without a name, as in a container
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


by_option = option(
    "--by",
    default=_current_user,
    help="The name that the history records for this decision; the current user by default.",
)
