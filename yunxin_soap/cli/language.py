"""The language of what a command shows: Chinese or English.

``--lang`` decides, and otherwise the locale, as for gettext: ``LANGUAGE`` is a list, and ignored in
the locale ``C``; of the others the first that is set counts. Every ``zh_*`` is Chinese. With
``--json`` everything is English, since programs read it.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from yunxin_soap import translation
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.campaign.models import LanguageName

LANGUAGES: tuple[LanguageName, ...] = ("zh", "en")
_current: gettext.NullTranslations = translation.ENGLISH
_language: LanguageName = "en"


class Plural(NamedTuple):
    """A text that depends on a count, with the placeholder ``{count}``."""

    one: str
    many: str


def choose(arguments: Sequence[str], environ: Mapping[str, str]) -> LanguageName:
    """Return the language of a command: ``zh`` or ``en``.

    Args:
        arguments: the command line. ``--lang`` stands before any subcommand.
        environ: the environment, with the locale.
    """
    rest = iter(arguments)
    chosen = ""
    for each in rest:
        if not each.startswith("-"):
            break
        name, _, value = each.partition("=")
        if name == "--lang":
            chosen = value or next(rest, "")
    return next((each for each in LANGUAGES if each == chosen), _of_locale(environ))


def _of_locale(environ: Mapping[str, str]) -> LanguageName:
    locale = next(
        (environ[each] for each in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(each)), ""
    )
    wanted = [] if locale in ("C", "POSIX") else environ.get("LANGUAGE", "").split(":")
    for each in (*wanted, locale):
        # As in zh_CN.UTF-8@modifier.
        base = each.replace(".", "_").replace("-", "_").replace("@", "_").partition("_")[0]
        for name in LANGUAGES:
            if name == base:
                return name
    return "en"


def current() -> LanguageName:
    """Return the language that was chosen for this command, for pages that it writes."""
    return _language


@contextmanager
def using(language: LanguageName, *, for_programs: bool = False) -> Iterator[None]:
    """Show everything in a language, click's own words included, until the end of the block.

    Args:
        language: ``zh`` or ``en``.
        for_programs: whether programs read what is shown, so that it stays English.
    """
    global _current, _language
    before, domain = (_current, _language), gettext.textdomain()
    _language = language
    if for_programs:
        language = "en"
    variable = os.environ.get("LANGUAGE")
    _current = translation.ENGLISH
    if language == "zh":
        _current = translation.chinese()
        # Click asks the standard library for the language of the process.
        gettext.bindtextdomain(translation.DOMAIN, translation.DIRECTORY)
        gettext.textdomain(translation.DOMAIN)
        os.environ["LANGUAGE"] = translation.CATALOGUE
    try:
        yield
    finally:
        _current, _language = before
        gettext.textdomain(domain)
        if variable is None:
            os.environ.pop("LANGUAGE", None)
        else:
            os.environ["LANGUAGE"] = variable


def translate(text: str) -> str:
    """Return a text in the language of the command.

    Args:
        text: a `Sentence`, of which the template is looked up and then filled; or another text,
            which is looked up as it is.
    """
    return translation.translate(text, _current)


def translate_stored(text: str) -> str:
    """Return a text of a ledger, such as the reason of a pause, in the language of the command."""
    return translation.translate_stored(text, _current)


def tr(template: str, /, **values: object) -> str:
    """Return a text in the language of the command, filled with values."""
    return translate(Sentence(template, **values))


def translate_error(error: BaseException) -> str:
    """Return the text of an error in the language of the command."""
    return translation.translate_error(error, _current)


def count_of(words: Plural, count: int) -> str:
    """Return a count with what is counted, in the language of the command."""
    return _current.ngettext(words.one, words.many, count).format(count=count)
