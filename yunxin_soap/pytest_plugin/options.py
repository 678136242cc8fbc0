"""What a test may choose about the fixtures' clients: by fixture, marker or ini file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypedDict

import pytest

if TYPE_CHECKING:
    from yunxin_soap.operation import ProtocolName
    from yunxin_soap.sandbox import Sandbox
    from yunxin_soap.settings import Settings


class YunxinOptions(TypedDict, total=False):
    """What the fixture ``yunxin_options`` and the marker ``yunxin`` may set."""

    user_code: str
    user_pass: str
    channel: str | int
    signature: str | None
    extension: str | int
    protocol: ProtocolName
    timeout: float


_DESCRIPTIONS = {
    "user_code": "the account; the sandbox gets it if it has none of that name",
    "user_pass": "the account's password",
    "channel": "the channel",
    "signature": "the signature that is appended to messages without one",
    "extension": "the extension number",
    "protocol": "soap, soap12, http-get or http-post",
    "timeout": "seconds to wait for a response",
}
_DEFAULTS: dict[str, Any] = {
    "user_code": "demo",
    "user_pass": "demo",
    "channel": "37",
    "signature": "签名",
    "timeout": 10.0,
}


def add_ini_options(parser: pytest.Parser) -> None:
    """Add an ini option for each option."""
    for name, description in _DESCRIPTIONS.items():
        parser.addini(f"yunxin_{name}", f"For the fixtures of yunxin-soap: {description}.")


def make_settings(
    request: pytest.FixtureRequest, given: Mapping[str, Any], sandbox: Sandbox
) -> Settings:
    """Return the settings of a test's clients; the sandbox gets their account.

    Args:
        request: the request of a fixture of the test.
        given: what the fixture ``yunxin_options`` returned.
        sandbox: the sandbox that the clients send to.
    """
    from yunxin_soap.errors import ConfigurationError
    from yunxin_soap.settings import Settings

    options = _DEFAULTS | _from_ini(request.config)
    options |= _checked(given, "The fixture yunxin_options")
    # The markers of the class and the module come after those of the function.
    for marker in reversed(list(request.node.iter_markers("yunxin"))):
        options |= _checked(marker.kwargs, "The marker yunxin", marker.args)
    try:
        settings = Settings(**options, endpoint=sandbox.url, retries=0)
    except ConfigurationError as error:
        # The options may contain a password, and pytest prints the arguments of a frame.
        problem = str(error)
    else:
        _add_account(sandbox, settings)
        return settings
    pytest.fail(f"The options of the yunxin fixtures are wrong: {problem}", pytrace=False)


def _from_ini(config: pytest.Config) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: value for name in _DESCRIPTIONS if (value := config.getini(f"yunxin_{name}"))
    }
    if "timeout" in found:
        try:
            found["timeout"] = float(found["timeout"])
        except ValueError:
            raise pytest.UsageError(
                f"yunxin_timeout = {found['timeout']} must be a number of seconds."
            ) from None
    return found


def _checked(given: Mapping[str, Any], where: str, positional: object = ()) -> Mapping[str, Any]:
    if positional:
        pytest.fail(f"{where} takes named options, such as signature='云信'.", pytrace=False)
    for name in given:
        if name not in _DESCRIPTIONS:
            known = ", ".join(_DESCRIPTIONS)
            pytest.fail(f"{where} has no option {name!r}: use one of {known}.", pytrace=False)
    return given


def _add_account(sandbox: Sandbox, settings: Settings) -> None:
    """Give the sandbox the account and its channel, unless the test's project has set it up."""
    from dataclasses import replace

    from yunxin_soap.sandbox import Account, Channel
    from yunxin_soap.sandbox.config import DEMO

    channels = (Channel(settings.channel),) if settings.channel else (Channel(),)
    known = {each.user_code: each for each in sandbox.gateway.accounts}.get(settings.user_code)
    if known is None:
        known = Account(settings.user_code, settings.user_pass)
    elif known != DEMO:
        return
    sandbox.add_account(replace(known, channels=channels))


def set_variables(settings: Settings, patch: pytest.MonkeyPatch) -> None:
    """Set the ``YUNXIN_*`` variables of a client, and remove those that it does not need."""
    from yunxin_soap.settings import ENV_NAMES

    values = _values(settings)
    for name in ENV_NAMES:
        if name in values:
            patch.setenv(f"YUNXIN_{name.upper()}", str(values[name]))
        else:
            patch.delenv(f"YUNXIN_{name.upper()}", raising=False)


def override_django(settings: Settings) -> AbstractContextManager[object]:
    """Return what sets ``settings.YUNXIN`` while it is entered, if Django is in use."""
    configuration = sys.modules.get("django.conf")
    if configuration is None or not configuration.settings.configured:
        return nullcontext()
    own: dict[str, Any] = getattr(configuration.settings, "YUNXIN", None) or {}
    kept = {name: value for name, value in own.items() if name != "proxy"}
    if "yunxin_soap.django" in configuration.settings.INSTALLED_APPS:
        kept["outbox"] = False  # the sandbox gets what is sent
    override: AbstractContextManager[object] = import_module("django.test.utils").override_settings(
        YUNXIN=kept | _values(settings)
    )
    return override


def _values(settings: Settings) -> dict[str, Any]:
    """Return what a client needs to be told, by the names of its arguments."""
    values: dict[str, Any] = {
        "endpoint": settings.endpoint.url,
        "user_code": settings.user_code,
        "user_pass": settings.user_pass,
        "channel": settings.channel,
        "signature": settings.signature,
        "extension": settings.extension,
        "protocol": settings.protocol,
        "timeout": settings.timeout,
    }
    return {name: value for name, value in values.items() if value not in (None, "")}
