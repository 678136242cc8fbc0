"""The checks of the fuzzer hold for its seeds, and for what it has found, on every Python."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import TARGETS, found_inputs


@pytest.mark.parametrize("name", TARGETS)
def test_target_holds_for_seeds_and_corpus(name: str) -> None:
    """Every input that fuzzing starts with, and every one that an earlier run has found."""
    target = TARGETS[name]
    found = [path.read_bytes() for path in sorted(found_inputs(name).iterdir())]
    seeds = list(target.seeds())
    assert len(found) > 5
    assert len(seeds) > 5
    for content in [*seeds, *found]:
        target.check(content)
