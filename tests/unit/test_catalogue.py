"""The Chinese catalogue is whole, and what commands show is in it."""

from __future__ import annotations

import ast
import string

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo

from tests.support import catalogue
from yunxin_soap.cli.language import choose, tr, translate_error, using
from yunxin_soap.errors import invalid_request
from yunxin_soap.sentences import Sentence

PASSED_ON = {
    "async_client.py": {"outcome_unknown(CANCELLED, None)", "not_sent(CANCELLED)"},
    "campaign/planning.py": {"ConfigurationError(_why_empty(planner))"},
    "cli/options.py": {
        "ConfigurationError(explain_undecodable(Sentence('What was typed')))",
        "ConfigurationError(refusal)",
    },
    "cli/output.py": {
        "ConfigurationError(error.format_message())",  # click has translated it
        "ConfigurationError(explain_undecodable(name))",
        "ConfigurationError(wrong)",
    },
    "environment.py": {"ConfigurationError(explain_undecodable(variable))"},
    "errors.py": {"InvalidRequest(message, safe_to_resend=True)"},
    "sandbox/strict_models.py": {
        "ConfigurationError(_describe(error, made, where))",
        "ConfigurationError(mistake)",
    },
    "settings.py": {"ConfigurationError(text_of(error))"},
    "transport/aio.py": {
        "failures.not_sent(self._route.reason.no_free_connection())",
        "self._route.not_sent(failure)",
    },
    "transport/failures.py": {"not_sent(reason)", "outcome_unknown(reason, http_status)"},
    "transport/route.py": {"not_sent(self.reason(error))"},
    "transport/sync.py": {
        "failures.not_sent(self._route.reason.no_free_connection())",
        "self._route.not_sent(failure)",
    },
}
"""Errors that are made of a sentence from elsewhere."""
NOT_TRANSLATED = {
    "campaign/running/once.py": {  # what the ledger has recorded
        "ConfigurationRejected(found.reason, category=Category.CONFIGURATION,"
        " safe_to_resend=found.safe_to_resend)",
        "RecipientsSuppressed(found.reason, safe_to_resend=True)",
    },
    "celery.py": {  # for who runs Celery's own command
        "ConfigurationError('The worker does not start, because it might send twice or leave"
        " submissions unknown:\\n- ' + '\\n- '.join(problems))",
    },
}
"""Errors that a command shows in English."""


def _by_text(texts: Catalog) -> dict[str, list[str]]:
    return {_texts(each.id)[0]: _texts(each.string) for each in texts if each.id}


def _messages() -> list[Message]:
    return [each for each in catalogue.read() if each.id]


def _texts(value: str | list[str] | tuple[str, ...] | None) -> list[str]:
    return [value] if isinstance(value, str) else [*(value or ("",))]


def _placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_catalogue_has_what_the_package_shows_and_nothing_else() -> None:
    """After a change: ``python -m tests.support.catalogue``, and translate what is new."""
    old = catalogue.read()
    assert catalogue.po_of(catalogue.update(old)) == catalogue.PO.read_bytes()
    with catalogue.MO.open("rb") as file:
        compiled = _by_text(read_mo(file))
    # The heads of the files differ: one has dates, and the version of Babel.
    assert compiled == _by_text(old)


def test_catalogue_is_complete() -> None:
    """Nothing is untranslated, and nothing is only a guess."""
    assert [each.id for each in _messages() if each.fuzzy or not all(_texts(each.string))] == []
    assert next(iter(catalogue.read())).fuzzy is False


def test_translations_have_the_same_placeholders() -> None:
    """A missing one would lose a value, and an unknown one would end the command."""
    wrong = []
    for each in _messages():
        known = set().union(*map(_placeholders_or_none, _texts(each.id)))
        for text in _texts(each.string):
            found = _placeholders_or_none(text)
            # Of a singular and a plural, the Chinese text has those of one.
            if not (found == known or (not isinstance(each.id, str) and found <= known)):
                wrong.append((each.id, text))
    assert wrong == []


def _placeholders_or_none(text: str) -> set[str | None]:
    try:
        return _placeholders(text)
    except ValueError:  # a plain text with a brace, which nothing fills
        return set()


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_TW"}, "zh"),
        ([], {"LANG": "zh"}, "zh"),
        ([], {"LANG": "de_DE.UTF-8"}, "en"),
        ([], {"LANG": "zh_CN", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ([], {"LANG": "en_US", "LC_MESSAGES": "zh_HK", "LC_ALL": ""}, "zh"),
        ([], {"LC_MESSAGES": "zh_CN", "LC_ALL": "en_US"}, "en"),
        ([], {"LANG": "en_US", "LANGUAGE": "zh_CN:en"}, "zh"),
        ([], {"LANG": "zh_CN", "LANGUAGE": "de:en:zh"}, "en"),
        ([], {"LANG": "zh_CN", "LANGUAGE": "de"}, "zh"),
        ([], {"LC_ALL": "C", "LANGUAGE": "zh_CN"}, "en"),
        (["--lang", "en"], {"LANG": "zh_CN"}, "en"),
        (["--lang=zh", "send"], {"LC_ALL": "C"}, "zh"),
        (["--help", "--lang", "zh"], {}, "zh"),
        (["send", "--lang", "zh"], {}, "en"),
        (["--lang", "fr"], {"LANG": "zh_CN"}, "zh"),
        (["--lang"], {}, "en"),
    ],
)
def test_language_is_that_of_option_or_locale(
    arguments: list[str], environ: dict[str, str], expected: str
) -> None:
    """``--lang`` before the command wins; then the locale counts, as for gettext."""
    assert choose(arguments, environ) == expected


def test_error_is_translated_with_what_is_inside() -> None:
    """Sentences inside of a sentence are translated, and what the user wrote is not."""
    why = Sentence("is not a number (it must match {pattern}): fix it or remove it.", pattern="{x}")
    error = invalid_request(
        Sentence("Recipient {position}, {item}, {why}", position=3, item="'numbers'", why=why)
    )
    with using("zh"):
        shown = translate_error(error)
        assert shown == "第 3 个接收号码 'numbers' 不是号码（必须符合 {x}）：请改正或删除。"
        assert translate_error(ValueError("Nothing else.")) == "Nothing else."
        assert tr("{count} lines", count=1) == "1 lines"  # no template of the catalogue
    assert translate_error(error) == str(error)


def test_error_texts_can_be_translated() -> None:
    """An error is made of a text that is written there, or of a `Sentence`; others are known."""
    found: dict[str, set[str]] = {}
    for path in catalogue.PACKAGE.rglob("*.py"):
        place = path.relative_to(catalogue.PACKAGE)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and catalogue.name_of(node) in catalogue.ERRORS:
                text = node.args[0] if node.args else None
                is_sentence = isinstance(text, ast.Call) and catalogue.name_of(text) == "Sentence"
                if text is not None and not isinstance(text, ast.Constant) and not is_sentence:
                    found.setdefault(place.as_posix(), set()).add(ast.unparse(node))
    assert found == PASSED_ON | NOT_TRANSLATED
