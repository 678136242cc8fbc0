"""The Chinese translation: which pages have one, and that each is complete.

``nox -s translations`` writes the sentences of these pages to ``docs/locale/zh_CN``. Sentences
whose English has changed become *fuzzy* there, and count as missing until somebody has looked at
them.
"""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.search.zh import SearchChinese
from sphinx.util import logging

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

_log = logging.getLogger(__name__)

DOCS = Path(__file__).parents[1]
CATALOGUES = DOCS / "locale" / "zh_CN" / "LC_MESSAGES"
TRANSLATED = (
    "index",
    "tutorial/*",
    "how-to/index",
    "how-to/django",
    "how-to/testing",
    "design/index",
    "design/outcomes",
    "reference/index",
    "troubleshooting",
)
"""The pages, as patterns. All others are in English in both languages."""


def pages() -> list[str]:
    """Return the files of the pages that have a translation."""
    names = (path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))
    found = (name for name in names if any(fnmatch(name, pattern) for pattern in TRANSLATED))
    return sorted(f"{DOCS.name}/{name}.md" for name in found)


def check_complete(app: Sphinx, document: nodes.document) -> None:
    """Warn of a page of which some sentences have no translation."""
    name = app.env.docname
    if app.config.language != "zh_CN" or not (CATALOGUES / f"{name}.po").exists():
        return
    progress = document["translation_progress"]
    if missing := progress["total"] - progress["translated"]:
        _log.warning("%s: %s sentences have no translation", name, missing)


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


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the check."""
    app.connect("doctree-read", check_complete)
    app.add_search_language(ChineseSearch)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    sys.stdout.write("\n".join(pages()) + "\n")
