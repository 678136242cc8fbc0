"""Lets the tests of the sandbox reach it where pytest-socket blocks the network."""

from __future__ import annotations

import pytest

_LOOPBACK = "127.0.0.1"


def allow_loopback(item: pytest.Item) -> None:
    """Allow a test that uses the sandbox to connect to this machine, and to nothing more."""
    if "yunxin_sandbox" not in getattr(item, "fixturenames", ()):
        return
    marker = item.get_closest_marker("allow_hosts")
    hosts = marker.args[0] if marker else item.config.getoption("--allow-hosts", None)
    if not hosts and not item.config.getoption("--disable-socket", False):
        return  # not installed, or not in use
    allowed = hosts.split(",") if isinstance(hosts, str) else list(hosts or ())
    # Before the test's own marker, of which pytest-socket reads the first.
    item.add_marker(pytest.mark.allow_hosts([*allowed, _LOOPBACK]), append=False)
