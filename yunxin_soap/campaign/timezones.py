"""The time zone in which people read and write times; everything else is in UTC. Pure."""

from __future__ import annotations

import io
import struct
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from yunxin_soap.errors import ConfigurationError

DEFAULT_TIMEZONE = "Asia/Shanghai"
_CHINA = (
    # A file of RFC 8536: no transition, one type with 8 hours and a name of 4 bytes.
    struct.pack(">4sx15x6l", b"TZif", 0, 0, 0, 0, 1, 4)
    + struct.pack(">lBB4s", 8 * 3600, 0, 0, b"CST")
)


def parse_timezone(name: str) -> ZoneInfo:
    """Return the time zone of a name. China's needs no time zone data: its offset is fixed.

    Raises:
        ConfigurationError: there is no such time zone, or this machine has no time zone data.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if name == DEFAULT_TIMEZONE:
            return ZoneInfo.from_file(io.BytesIO(_CHINA), key=name)
        if not available_timezones():
            raise ConfigurationError(
                f"timezone={name!r} is not known, because this machine has no time zone data:"
                " pip install tzdata."
            ) from None
        raise ConfigurationError(
            f"timezone={name!r} is no time zone: name one such as {DEFAULT_TIMEZONE}."
        ) from None


def format_time(at: datetime, zone: ZoneInfo) -> str:
    """Return a time to the second, with the name of its zone."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"
