"""The app's texts in the language that Django has activated: Chinese, or else English."""

from __future__ import annotations

import gettext

from django.utils.functional import lazy
from django.utils.translation import get_language

from yunxin_soap import translation


def catalogue() -> gettext.NullTranslations:
    """Return the catalogue of the active language. Every ``zh-*`` is Chinese."""
    is_chinese = (get_language() or "").startswith("zh")
    return translation.chinese() if is_chinese else translation.ENGLISH


def translate(text: str) -> str:
    """Return a text in the active language; it may be one that the ledger has stored."""
    return translation.translate_stored(text, catalogue())


tr = lazy(translate, str)
"""Marks a text, and translates it when it is shown: the language may be another in each request."""
