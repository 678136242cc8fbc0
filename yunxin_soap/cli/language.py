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
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from yunxin_soap.sentences import Sentence, text_of

if TYPE_CHECKING:
    from yunxin_soap.campaign.models import LanguageName

LANGUAGES: tuple[LanguageName, ...] = ("zh", "en")
DOMAIN = "yunxin_soap"
CATALOGUE = "zh_CN"
DIRECTORY = Path(__file__).resolve().parent.parent / "locale"

_english = gettext.NullTranslations()
_current: gettext.NullTranslations = _english
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
    _current = _english
    if language == "zh":
        # Without a catalogue, as in a damaged installation, the command speaks English.
        _current = gettext.translation(DOMAIN, DIRECTORY, [CATALOGUE], fallback=True)
        # Click asks the standard library for the language of the process.
        gettext.bindtextdomain(DOMAIN, DIRECTORY)
        gettext.textdomain(DOMAIN)
        os.environ["LANGUAGE"] = CATALOGUE
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
    if not text:
        return ""  # gettext would return the head of the catalogue
    if not isinstance(text, Sentence):
        return _current.gettext(text)
    values = {
        name: translate(value) if isinstance(value, Sentence) else value
        for name, value in text.values.items()
    }
    return _current.gettext(text.template).format(**values)


def tr(template: str, /, **values: object) -> str:
    """Return a text in the language of the command, filled with values."""
    return translate(Sentence(template, **values))


def translate_error(error: BaseException) -> str:
    """Return the text of an error in the language of the command."""
    text = text_of(error)
    first = error.args[0] if error.args else ""
    # An error without values was made of a plain text.
    return translate(first if isinstance(first, Sentence) else text)


def count_of(words: Plural, count: int) -> str:
    """Return a count with what is counted, in the language of the command."""
    return _current.ngettext(words.one, words.many, count).format(count=count)
