"""The Chinese documents quote what the command line shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.support.doc_pages import DOCS, matches, read_blocks
from yunxin_soap import YunxinError
from yunxin_soap.cli.language import translate_error, using
from yunxin_soap.sandbox import Sandbox

_QUOTE = re.compile(r"中文：“(.*?)”")


def test_troubleshooting_quotes_the_chinese_of_each_error(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Chinese page quotes each error that the English one shows, as the command shows it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YUNXIN_LEDGER", "")
    shown: list[str] = []

    def show(function: Callable[[], object]) -> None:
        with pytest.raises(YunxinError) as caught:
            function()
        shown.append(translate_error(caught.value))

    names: dict[str, object] = {"sandbox": sandbox}
    with monkeypatch.context() as environment, using("zh"):
        environment.setenv("YUNXIN_USER_PASS", "")  # the page sets it
        for block in read_blocks(DOCS / "troubleshooting.md"):
            if block.language == "run":
                exec(compile(block.code, str(DOCS / "troubleshooting.md"), "exec"), names)
                names["show"] = show  # instead of the page's own
    with (DOCS / "locale/zh_CN/LC_MESSAGES/troubleshooting.po").open("rb") as catalogue:
        texts = [str(message.string) for message in read_po(catalogue)]
    quotes = [quote for text in texts for quote in _QUOTE.findall(text)]
    assert len(quotes) == len(shown)
    assert [pair for pair in zip(quotes, shown, strict=True) if not matches(*pair)] == []
