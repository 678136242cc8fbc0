"""Commands and options of click whose help is shown in the user's language, and is not cut.

Click measures a help text in characters, and shortens the lines of a list of commands. Here lines
are measured in cells, of which a Chinese character takes two, and are whole.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from yunxin_soap.cells import cell_width, wrap_cells
from yunxin_soap.cli.language import tr, translate

_Made = TypeVar("_Made", bound=click.Command)
_Decorator = Callable[[Callable[..., Any]], _Made]
_MAX_FIRST_COLUMN = 30
"""Cells of the longest name that has its help on the same line."""


class _HelpFormatter(click.HelpFormatter):
    """Wraps help texts by cells."""

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with a line of ``\\b`` is left as it is."""
        indent = " " * self.current_indent
        shown = []
        for paragraph in text.split("\n\n"):
            first, _, rest = paragraph.lstrip("\n").partition("\n")
            if first.strip() == "\b":
                lines = [f"{indent}{line}" for line in rest.splitlines()]
            else:
                lines = wrap_cells(paragraph, self.width, indent=indent, first_indent=indent)
            shown.append("\n".join(lines))
        self.write("\n\n".join(shown) + "\n")

    def write_dl(
        self,
        rows: Iterable[tuple[str, str]],
        col_max: int = _MAX_FIRST_COLUMN,
        col_spacing: int = 2,
    ) -> None:
        """Write a list of terms, with a text beside or below each."""
        rows = list(rows)
        widest = max((cell_width(term) for term, _ in rows), default=0)
        column = self.current_indent + min(widest, col_max) + col_spacing
        for term, text in rows:
            first = f"{'':{self.current_indent}}{term}"
            if not text:
                self.write(f"{first}\n")
                continue
            room = column - cell_width(first)
            if room < col_spacing:
                self.write(f"{first}\n")
                first = " " * column
            else:
                first += " " * room
            lines = wrap_cells(text, self.width, indent=" " * column, first_indent=first)
            self.write("\n".join(lines) + "\n")


class _Context(click.Context):
    formatter_class = _HelpFormatter


class _Translated:
    """Translates the help when it is shown, since ``--lang`` is not known before."""

    _help: str | None = None

    @property
    def help(self) -> str | None:
        """The help in the language of the command."""
        return None if self._help is None else translate(inspect.cleandoc(self._help))

    @help.setter  # noqa: A003 - the name that click gives it
    def help(self, text: str | None) -> None:
        self._help = text


class Epilog(str):
    """The end of a help text, which knows how to say the same in another language."""

    def render(self) -> str:
        """Return the text in the language of the command."""
        raise NotImplementedError


class Command(_Translated, click.Command):
    """A command."""

    context_class = _Context
    _epilog: str | None = None

    @property
    def epilog(self) -> str | None:
        """The end of the help in the language of the command."""
        return self._epilog.render() if isinstance(self._epilog, Epilog) else self._epilog

    @epilog.setter
    def epilog(self, text: str | None) -> None:
        self._epilog = text

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first paragraph of the help, whole."""
        return " ".join((self.help or "").partition("\n\n")[0].split())


class Group(Command, click.Group):
    """A group of commands."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first paragraph of their help."""
        rows = [(name, self.commands[name].get_short_help_str()) for name in sorted(self.commands)]
        with formatter.section(tr("Commands")):
            formatter.write_dl(rows)


class Option(_Translated, click.Option):
    """An option.

    Args:
        arguments: as for `click.Option`.
        variable: the environment variable that the client reads, which click need not know; the
            help names it. Without ``YUNXIN_``.
        options: as for `click.Option`.
    """

    def __init__(self, *arguments: Any, variable: str = "", **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._variable = variable

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what stands in brackets after the help."""
        extra = super().get_help_extra(ctx)
        if self._variable:
            extra["envvars"] = (f"YUNXIN_{self._variable}",)
        return extra


def command(name: str, *, epilog: str | None = None, **settings: Any) -> _Decorator[Command]:
    """Make a command of a function, as `click.command` does."""
    return click.command(name, cls=Command, epilog=epilog, **settings)


def group(name: str) -> _Decorator[Group]:
    """Make a group of commands of a function, as `click.group` does."""
    return click.group(name, cls=Group)


option = functools.partial(click.option, cls=Option)
"""Adds an option to a command, as `click.option` does."""
