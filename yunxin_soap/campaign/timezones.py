"""The time zone in which people read and write times; everything else is in UTC. Pure."""

from __future__ import annotations

import io
import struct
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

DEFAULT_TIMEZONE = "Asia/Shanghai"
_FIXED = {DEFAULT_TIMEZONE: (8 * 3600, b"CST"), "UTC": (0, b"UTC"), "Etc/UTC": (0, b"UTC")}
"""The time zones that need no data: the seconds ahead of UTC, and the short name."""


def parse_timezone(name: str) -> ZoneInfo:
    """Return the time zone of a name. China's and UTC need no time zone data.

    Raises:
        ConfigurationError: there is no such time zone, or this machine has no time zone data.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if name in _FIXED:
            return _fixed_zone(name)
        if not available_timezones():
            raise ConfigurationError(
                Sentence(
                    "timezone={name} is not known, because this machine has no time zone data: pip "
                    "install tzdata.",
                    name=repr(name),
                )
            ) from None
        raise ConfigurationError(
            Sentence(
                "timezone={name} is no time zone: name one such as {default_timezone}.",
                name=repr(name),
                default_timezone=DEFAULT_TIMEZONE,
            )
        ) from None


def _fixed_zone(name: str) -> ZoneInfo:
    # A file of RFC 8536: no transition, one type with an offset and a name of 4 bytes.
    head = struct.pack(">4sx15x6l", b"TZif", 0, 0, 0, 0, 1, 4)
    offset, short_name = _FIXED[name]
    file = io.BytesIO(head + struct.pack(">lBB4s", offset, 0, 0, short_name))
    return ZoneInfo.from_file(file, key=name)


def format_time(at: datetime, zone: ZoneInfo) -> str:
    """Return a time to the second, with the name of its zone."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"
