"""The Chinese translation: which pages have one, and that each is complete.

``nox -s translations`` writes the sentences of these pages to ``docs/locale/zh_CN``, and the title
of each other page, for the navigation. Sentences whose English has changed become *fuzzy* there,
and count as missing until somebody has looked at them.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from docutils import nodes
from sphinx.search.zh import SearchChinese
from sphinx.util import logging
from sphinx.util.nodes import extract_messages

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

_log = logging.getLogger(__name__)

DOCS = Path(__file__).parents[1]
CATALOGUES = DOCS / "locale" / "zh_CN" / "LC_MESSAGES"
TRANSLATED = (
    "index",
    "tutorial/*",
    "how-to/*",
    "design/index",
    "design/outcomes",
    "reference/index",
    "reference/settings",
    "troubleshooting",
)
"""The pages, as patterns. All others have a Chinese title, and are in English."""
ENGLISH_ONLY = "本页尚未翻译，以下为英文。"


def is_translated(page: str) -> bool:
    """Return whether a page, such as ``how-to/django``, is in Chinese."""
    return any(fnmatch(page, pattern) for pattern in TRANSLATED)


def keep_only_title(app: Sphinx, document: nodes.document) -> None:
    """Let nothing but the title of a page that stays English be translated."""
    if is_translated(app.env.docname):
        return
    title = document.next_node(nodes.title)
    for node in document.findall(nodes.Element):
        if node is not title:
            node["translatable"] = False
            node.attributes.pop("alt", None)  # that of an image is a sentence of its own


def check_complete(app: Sphinx, document: nodes.document) -> None:
    """Warn of each sentence of a page that has no translation."""
    name = app.env.docname
    if app.config.language != "zh_CN":
        return
    file = CATALOGUES / f"{name}.po"
    catalogue = Catalog()
    if file.exists():
        with file.open("rb") as opened:
            catalogue = read_po(opened)
    strings = {str(each.string) for each in catalogue if not each.fuzzy}
    for node, sentence in extract_messages(document):
        if isinstance(node, nodes.image) and sentence in strings:
            continue  # the text of an image has been replaced already
        found = catalogue.get(sentence)
        if found is None or not found.string or found.fuzzy:
            _log.warning("%s has no Chinese for %r: see nox -s translations", name, sentence)
        if not is_translated(name):
            break  # the rest of the page stays English


def note_english(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _document: object
) -> None:
    """Say on the Chinese site that a page is in English."""
    if app.config.language == "zh_CN" and page in app.env.all_docs and not is_translated(page):
        note = f'<div class="admonition"><p>{ENGLISH_ONLY}</p></div>'
        context["body"] = f"{note}\n{context['body']}"


class ChineseSearch(SearchChinese):
    """Searches Chinese by pairs of characters, as Chinese has no blanks between words.

    A dictionary splits a text otherwise than the few words that somebody searches for, and then
    finds nothing. Pairs always agree.
    """

    # Chinese pages have the stemmer for English words. Sphinx 9 looks for it under the name of the
    # language, and finds none (sphinx-doc/sphinx#14229).
    language_name = "English"
    js_splitter_code = r"""
function splitQuery(query) {
  const words = [];
  const parts = /\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{Letter}\p{Number}_])+/gu;
  for (const part of query.match(parts) ?? []) {
    if (part.length < 2 || !/\p{Script=Han}/u.test(part)) words.push(part);
    else for (let i = 0; i + 1 < part.length; i++) words.push(part.slice(i, i + 2));
  }
  return words;
}
"""

    def split(self, input: str) -> list[str]:  # noqa: A002 - the name that Sphinx gives it
        """Return the words of a text for the index."""
        latin = self.latin1_letters.findall(input)
        self.latin_terms.update(latin)
        runs = re.findall(r"[\u3400-\u9fff]{2,}", input)
        return [run[at : at + 2] for run in runs for at in range(len(run) - 1)] + latin


def connect(app: Sphinx) -> None:
    """Check what is built, or choose what is to be translated."""
    extracts = app.builder.name == "gettext"
    app.connect("doctree-read", keep_only_title if extracts else check_complete)


def use_names_of_pictures(app: Sphinx, config: Config) -> None:
    """Let a page in Chinese show ``inbox.zh-CN.png`` instead of ``inbox.png``, if it is there."""
    config.figure_language_filename = f"{{root}}.{config.language.replace('_', '-')}{{ext}}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the checks, the pictures and the search."""
    app.connect("config-inited", use_names_of_pictures)
    app.connect("builder-inited", connect)
    app.connect("html-page-context", note_english)
    app.add_search_language(ChineseSearch)
    return {"parallel_read_safe": True}
