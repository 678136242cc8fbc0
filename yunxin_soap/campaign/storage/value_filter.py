"""Tells fast, and in bounded memory, which of many texts may be in a large set. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_BITS_OF_VALUE = 128
"""Bits for each text of the set, so that about one other text in a hundred hits one of them."""
_MIN_BITS, _MAX_BITS = 1 << 16, 1 << 27


class ValueFilter:
    """A Bloom filter of one hash. It takes 16 MiB at most, however large the set is.

    A larger set only has more texts that may be in it and are not: of a million, one in a hundred;
    of ten millions, one in fourteen.

    Args:
        count: how many texts the set has, about.
    """

    def __init__(self, count: int) -> None:
        wanted = 1 << (count * _BITS_OF_VALUE).bit_length()
        size = min(max(wanted, _MIN_BITS), _MAX_BITS)
        self._mask = size - 1
        self._bits = bytearray(size >> 3)

    def add(self, values: Iterable[str]) -> None:
        """Add texts to the set."""
        bits, mask = self._bits, self._mask
        for at in map(hash, values):
            bits[(at & mask) >> 3] |= 1 << (at & 7)

    def hits(self, values: Sequence[str]) -> list[int]:
        """Return for each text whether it may be in the set: 0 if it is not."""
        bits, mask = self._bits, self._mask
        return [bits[(at & mask) >> 3] >> (at & 7) & 1 for at in map(hash, values)]
