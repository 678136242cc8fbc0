"""Which texts of a campaign are shown before they are sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap.campaign.models import Sample
from yunxin_soap.campaign.samples import Samples

texts = st.one_of(
    st.integers(1, 75).map(lambda count: "字" * count),
    st.sampled_from(["字😀", "😀" * 34, "😀" * 36, "字" * 135]),
)


@given(st.lists(st.lists(texts, max_size=5), max_size=6))
def test_samples_of_many_texts_at_once_are_those_of_each(batches: list[list[str]]) -> None:
    """What is seen at once changes neither the samples nor the counts."""

    def sample(message: str, segments: int) -> Sample:
        return Sample((), "13900000001", message, segments, {})

    at_once, each = Samples(), Samples()
    for batch in batches:
        seen = at_once.add_usual(batch)
        for text in batch:
            each.add(text, 1, sample)
            if not seen:
                at_once.add(text, 1, sample)
    assert at_once.chosen() == each.chosen()
    assert at_once.numbers_by_segments == each.numbers_by_segments
