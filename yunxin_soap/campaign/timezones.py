"""The time zone in which people read and write times; everything else is in UTC. Pure."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from yunxin_soap.errors import ConfigurationError

DEFAULT_TIMEZONE = "Asia/Shanghai"


def parse_timezone(name: str) -> ZoneInfo:
    """Return the time zone of a name.

    Raises:
        ConfigurationError: there is no such time zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"There is no time zone {name!r}: name one such as {DEFAULT_TIMEZONE}."
        ) from None


def format_time(at: datetime, zone: ZoneInfo) -> str:
    """Return a time to the second, with the name of its zone."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"
