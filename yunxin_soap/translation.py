"""Texts in Chinese: the catalogue has one for each template that the package shows.

The command line shows a whole command in one language, and the sandbox's REST API each response in
its reader's. Both look up templates here.
"""

from __future__ import annotations

import gettext
import re
import string
import struct
from functools import cache, lru_cache
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
    # An error without values was made of a plain text, or of one that was stored.
    return translate_stored(first if isinstance(first, Sentence) else text_of(error), catalogue)


def translate_stored(text: str, catalogue: gettext.NullTranslations) -> str:
    """Return a text that was stored, filled, in the language of a catalogue.

    A ledger keeps English texts alone, for every program and every release that reads it. So the
    template of such a text is looked for among those of the catalogue. A text without one stays.

    Args:
        text: a text that a `Sentence` or an error was, such as the reason of a pause.
        catalogue: `chinese` or `ENGLISH`.
    """
    if catalogue is ENGLISH or not text or isinstance(text, Sentence):
        return translate(text, catalogue)
    found = catalogue.gettext(text)
    return found if found != text else translate(_recognised(text) or text, catalogue)


_MANY_WORDS = 2
"""How many words a template needs to be told from what people and servers write."""


_LONGEST = 500
"""Characters of a text that is looked at; one of the package's own that is longer stays English."""
_DEEPEST = 3
"""How deep sentences are looked for in sentences."""


@lru_cache(maxsize=1024)  # a text that anybody has written has many parts in common with itself
def _recognised(text: str, depth: int = 0) -> Sentence | None:
    """Return the sentence that a text is; None if no template fits."""
    if depth > _DEEPEST or len(text) > _LONGEST:
        return None
    for words, literals, pattern, template in _patterns():
        if not all(each in text for each in literals):
            continue
        match = pattern.fullmatch(text)
        if match is None:
            continue
        parts = {
            name: _recognised(value, depth + 1) or _known(value)
            for name, value in match.groupdict().items()
        }
        # "by ..." begins what the ledger says, but "... and ..." may be in anybody's text.
        is_unclear = words < _MANY_WORDS and (depth > 0 or not literals[0])
        if is_unclear and not any(parts.values()):
            continue
        values = {name: parts[name] or value for name, value in match.groupdict().items()}
        return Sentence(template, **values)
    return None


def _known(text: str) -> Sentence | None:
    """Return a text that is a template without values, if it has more than one word."""
    is_known = text in _templates() and " " in text and "{" not in text
    return Sentence(text) if is_known else None


@cache
def _patterns() -> list[tuple[int, list[str], re.Pattern[str], str]]:
    """Return of each template with values its words, its literal texts, and its pattern.

    Those with the longest literal texts come first.
    """
    found: list[tuple[int, int, list[str], re.Pattern[str], str]] = []
    for template in _templates():
        literals: list[str] = []
        pattern = ""
        names: set[str] = set()
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError:  # a plain text with a brace
            continue
        for literal, name, _, _ in parts:
            literals.append(literal)
            pattern += re.escape(literal)
            if name is not None:
                pattern += f"(?P={name})" if name in names else f"(?P<{name}>.+?)"
                names.add(name)
        whole = " ".join(literals)
        words = len(re.findall("[A-Za-z]{2,}", whole))
        if names and words:
            compiled = re.compile(pattern, re.DOTALL)
            found.append((len(whole), words, literals, compiled, template))
    found.sort(key=lambda each: each[0], reverse=True)
    return [each[1:] for each in found]


@cache
def _templates() -> frozenset[str]:
    """Return all templates of the catalogue, which gettext itself does not list."""
    try:
        compiled = (DIRECTORY / CATALOGUE / "LC_MESSAGES" / f"{DOMAIN}.mo").read_bytes()
    except OSError:  # as in a damaged installation
        return frozenset()
    _, _, count, table = struct.unpack_from("<4I", compiled)
    found = set()
    for place in range(count):
        length, start = struct.unpack_from("<2I", compiled, table + 8 * place)
        found.add(compiled[start : start + length].decode())
    return frozenset(each for each in found if each and "\0" not in each)  # no plurals
