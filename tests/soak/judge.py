"""Judge whether a quantity that was sampled again and again has grown. Pure.

What is opened first, such as pools, caches and pages of memory, is the warm-up: the first third of
the samples does not count. Of the others, the median of the first third is compared with that of
the last third, so that no single sample decides.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_SAMPLES = 9
"""Fewer samples show nothing."""


@dataclass(frozen=True)
class Quantity:
    """Something that a process holds."""

    name: str
    unit: str
    """What a number of one means; empty for a count."""
    allowed: float
    """How much more of it, at the end, still counts as flat."""
    allowed_share: float
    """The same as a share of the start. The larger one counts."""


QUANTITIES = (
    Quantity("threads", "", 2, 0),
    Quantity("sockets", "", 4, 0.1),
    Quantity("descriptors", "", 4, 0.1),
    Quantity("memory", "MiB", 3, 0.04),
    Quantity("objects", "", 3000, 0.03),
)
"""What is sampled. The pools' idle connections come and go, with some 1,600 objects."""


@dataclass(frozen=True)
class Verdict:
    """What became of one quantity of one process."""

    start: float
    """The median of the first third after the warm-up."""
    end: float
    """The median of the last third."""
    worst: float
    """The largest sample after the warm-up."""
    is_flat: bool


def judge(samples: Sequence[float], quantity: Quantity) -> Verdict:
    """Compare the end with the start.

    Args:
        samples: in the order in which they were taken, `FEWEST_SAMPLES` at least.
        quantity: what was sampled.

    Raises:
        ValueError: there are too few samples.
    """
    if len(samples) < FEWEST_SAMPLES:
        raise ValueError(f"{len(samples)} samples are too few: run it longer.")
    warm = samples[len(samples) // 3 :]
    third = len(warm) // 3
    start, end = statistics.median(warm[:third]), statistics.median(warm[-third:])
    allowed = max(quantity.allowed, quantity.allowed_share * start)
    return Verdict(start, end, max(warm), end - start <= allowed)
