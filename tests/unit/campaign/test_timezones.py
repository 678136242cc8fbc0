"""China's time needs no time zone data, which slim images and Windows do not have."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, reset_tzpath

import pytest

from yunxin_soap import ConfigurationError
from yunxin_soap.campaign.running.throttle import SendingHours
from yunxin_soap.campaign.timezones import format_time, parse_timezone


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hides the time zone data of the system and of the package tzdata."""
    for name in ["tzdata", *(each for each in sys.modules if each.startswith("tzdata."))]:
        monkeypatch.setitem(sys.modules, name, None)
    reset_tzpath(to=[])
    ZoneInfo.clear_cache()
    yield
    reset_tzpath()
    ZoneInfo.clear_cache()


@pytest.mark.usefixtures("no_data")
def test_china_is_known_without_data() -> None:
    """Its times, sending hours and name are those that the data gives."""
    zone = parse_timezone("Asia/Shanghai")
    at = datetime(2026, 7, 1, 16, 30, tzinfo=timezone.utc)
    assert format_time(at, zone) == "2026-07-02 00:30:00 Asia/Shanghai"
    assert at.astimezone(zone).utcoffset() == timedelta(hours=8)
    assert datetime(2030, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=8)
    hours = SendingHours.parse("08:00-21:00")
    assert str(hours) == "08:00-21:00 Asia/Shanghai"
    assert hours.wait(at.timestamp()) == 7.5 * 3600
    assert hours.wait(at.timestamp() + 8 * 3600) == 0


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("name", ["UTC", "Etc/UTC"])
def test_utc_is_known_without_data(name: str) -> None:
    """Servers are in UTC, and its offset is fixed, too."""
    at = datetime(2026, 7, 1, 16, 30, tzinfo=timezone.utc)
    assert format_time(at, parse_timezone(name)) == f"2026-07-01 16:30:00 {name}"


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("name", ["Europe/Berlin", "x"])
def test_other_zones_without_data_name_the_package(name: str) -> None:
    """The error says what to install."""
    with pytest.raises(ConfigurationError, match=f"timezone='{name}' .* pip install tzdata"):
        parse_timezone(name)


@pytest.mark.parametrize("name", ["x", "", "/etc/passwd", "../x", "Asia", "a\0"])
def test_zone_that_does_not_exist_is_an_error(name: str) -> None:
    """With data, the name is wrong."""
    with pytest.raises(ConfigurationError, match="is no time zone: name one such as Asia/Shanghai"):
        parse_timezone(name)
