"""Small files as people have them. Beside each is what its plan must be.

The JSON of a file is a list of cases. A case has the ``message``, the arguments of the source, and
either a part of the ``error``, or the ``texts`` with their numbers, the ``skipped`` lines with
their values and a part of the reasons, and parts of the ``notes`` where they matter.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Csv, Excel, Source, Text
from yunxin_soap.campaign.models import SkippedLine
from yunxin_soap.campaign.planning import prepare_plan

FOLDER = Path(__file__).parents[2] / "corpus" / "lists"
KINDS: dict[str, type[Any]] = {".csv": Csv, ".txt": Text, ".xlsx": Excel}
CASES = [
    pytest.param(path.with_suffix(""), case, id=f"{path.stem}-{at}")
    for path in sorted(FOLDER.glob("*.json"))
    for at, case in enumerate(json.loads(path.read_text("utf-8")))
]


def test_corpus_has_a_plan_for_each_file() -> None:
    """No file is without a case, and no case without a file."""
    files = {path.name for path in FOLDER.iterdir() if path.suffix != ".json"}
    assert files == {path.stem for path in FOLDER.glob("*.json")}
    assert len(files) > 40


@pytest.mark.parametrize("stream", [False, True], ids=["path", "stream"])
@pytest.mark.parametrize(("path", "case"), CASES)
def test_corpus_file_is_planned_as_stated(path: Path, case: dict[str, Any], stream: bool) -> None:
    """The same from a path and from a stream; nothing of the process is changed."""
    stated = {"message", "error", "texts", "skipped", "notes"}
    options = {name: value for name, value in case.items() if name not in stated}
    limit = csv.field_size_limit()
    with path.open("rb") as file:
        source: Source = KINDS[path.suffix](file if stream else path, **options)
        skipped: list[SkippedLine] = []
        texts: dict[str, list[str]] = {}
        try:
            with prepare_plan(
                "a", source, case["message"], on_skipped=skipped.append, channel=37
            ) as (plan, planner):
                for message, joined, _ in planner.submissions():
                    texts.setdefault(message, []).extend(joined.split(","))
        except ConfigurationError as error:
            assert case.get("error", "no error") in str(error), error
            assert "\n" not in str(error)
            return
        finally:
            assert csv.field_size_limit() == limit
    assert "error" not in case
    assert texts == case["texts"]
    assert [(each.line, each.value) for each in skipped] == [
        (line, value) for line, value, _ in case["skipped"]
    ]
    for each, (_, _, reason) in zip(skipped, case["skipped"], strict=True):
        assert reason in each.reason
    for note in case.get("notes", ()):
        assert note in " ".join(plan.source_notes)
