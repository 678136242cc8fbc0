"""Texts in Chinese: the catalogue has one for each template that the package shows.

The command line shows a whole command in one language, and the sandbox's REST API each response in
its reader's. Both look up templates here.
"""

from __future__ import annotations

import gettext
from pathlib import Path

from yunxin_soap.sentences import Sentence, text_of

DOMAIN = "yunxin_soap"
CATALOGUE = "zh_CN"
DIRECTORY = Path(__file__).resolve().parent / "locale"
ENGLISH = gettext.NullTranslations()


def chinese() -> gettext.NullTranslations:
    """Return the catalogue; without one, as in a damaged installation, texts stay English."""
    return gettext.translation(DOMAIN, DIRECTORY, [CATALOGUE], fallback=True)


def translate(text: str, catalogue: gettext.NullTranslations) -> str:
    """Return a text in the language of a catalogue.

    Args:
        text: a `Sentence`, of which the template is looked up and then filled; or another text,
            which is looked up as it is.
        catalogue: `chinese` or `ENGLISH`.
    """
    if not text:
        return ""  # gettext would return the head of the catalogue
    if not isinstance(text, Sentence):
        return catalogue.gettext(text)
    values = {
        name: translate(value, catalogue) if isinstance(value, Sentence) else value
        for name, value in text.values.items()
    }
    return catalogue.gettext(text.template).format(**values)


def translate_error(error: BaseException, catalogue: gettext.NullTranslations) -> str:
    """Return the text of an error in the language of a catalogue."""
    first = error.args[0] if error.args else ""
    # An error without values was made of a plain text.
    return translate(first if isinstance(first, Sentence) else text_of(error), catalogue)
