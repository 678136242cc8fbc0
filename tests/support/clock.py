"""A fake clock, to be passed in wherever the package takes ``clock=`` and ``sleep=``."""

from __future__ import annotations

from collections.abc import Callable


class FakeClock:
    """A clock that moves only when somebody sleeps or advances it.

    Args:
        on_sleep: called at the start of each sleep.
        sleeps_longer_by: seconds that each sleep takes beyond its argument.
    """

    def __init__(
        self, on_sleep: Callable[[], None] = lambda: None, sleeps_longer_by: float = 0.0
    ) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        """The argument of each sleep so far."""
        self._on_sleep, self._sleeps_longer_by = on_sleep, sleeps_longer_by

    def time(self) -> float:
        """Return the current time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Move the clock forward at once, instead of waiting."""
        self._on_sleep()
        self.sleeps.append(seconds)
        self.advance(seconds + self._sleeps_longer_by)

    async def async_sleep(self, seconds: float) -> None:
        """Do the same for asyncio."""
        self.sleep(seconds)
