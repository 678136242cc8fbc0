"""Find the WSDL, load it without a network, check it, refresh it, and compare it with the live one.

The addresses in a WSDL are never used: a tampered file must not be able to send credentials
elsewhere. Only the shape of the operations is taken from it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yunxin_soap.errors import ConfigurationError, NotSent, OutcomeUnknown
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.redact import clear_frames, truncate_printable
from yunxin_soap.sentences import Sentence, text_of
from yunxin_soap.wire import zeep_adapter
from yunxin_soap.wire.description import differences
from yunxin_soap.wire.zeep_adapter import Wsdl
from yunxin_soap.wsdl_files import (
    MAX_BYTES,
    cache_dir,
    cached_path,
    find,
    find_and_read,
    previous_path,
    read,
    replace_cached,
    roll_back,
    shipped_path,
)

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings, Verify

_loaded: dict[Path, Wsdl] = {}
_lock = threading.Lock()


def _replace_lock() -> None:
    """Create a new lock in a forked child, which has no thread to release the old one."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_lock)


def load(path: str | os.PathLike[str] | None = None) -> Wsdl:
    """Return the parsed WSDL. All callers share it as long as the file stays the same.

    Args:
        path: as for `find`.

    Raises:
        ConfigurationError: the file cannot be read, is not a WSDL, or imports another document.
    """
    found, content = find_and_read(path)
    with _lock:
        loaded = _loaded.get(found)
        if loaded is None or loaded.content != content:
            loaded = _loaded[found] = zeep_adapter.parse(content, str(found))
        return loaded


# --- the live one


def fetch(
    endpoint: str, *, timeout: float = 30.0, proxy: str | None = None, verify: Verify = True
) -> Wsdl:
    """Fetch the live WSDL of a page, and parse it.

    Redirects are not followed, and the environment's proxy is not used.

    Args:
        endpoint: the page, such as ``http://112.124.24.5/api/MsgSend.asmx``; ``?WSDL`` may follow.
        timeout: seconds for the whole of it.
        proxy: as for `Client`.
        verify: as for `Client`.

    Raises:
        ConfigurationError: an argument is wrong, the WSDL cannot be fetched, or it is no WSDL.
    """
    try:
        return _fetch(_network_settings(endpoint, timeout, proxy, verify))
    except BaseException as error:
        # A response may echo the password in the address of the proxy.
        clear_frames(error)
        raise
    finally:
        # An error keeps this frame, and both addresses may have a password.
        del endpoint, proxy


def _network_settings(endpoint: str, timeout: float, proxy: str | None, verify: Verify) -> Settings:
    """Check the arguments by the rules for a client, which is not built."""
    from yunxin_soap.settings import Settings

    page = re.sub(r"\?wsdl$", "", endpoint, flags=re.IGNORECASE)
    Settings("-", "-", timeout=timeout)
    connecting = min(5.0, timeout / 2)
    return Settings(
        "-",
        "-",
        endpoint=page,
        timeout=timeout - connecting,
        connect_timeout=connecting,
        retries=0,
        proxy=proxy,
        verify=verify,
    )


def _fetch(settings: Settings) -> Wsdl:
    from yunxin_soap.transport.base import Request, Response
    from yunxin_soap.transport.sync import HttpTransport

    url = f"{settings.endpoint.url}?WSDL"
    response: Response | None = None
    problem = ""
    transport = HttpTransport(settings)
    try:
        response = transport.send(Request("GET", settings.endpoint.path, {}, query="WSDL"))
    except (NotSent, OutcomeUnknown) as error:
        problem = _cause(error)
        if re.search(r" within \S+ s$", problem):
            total = settings.connect_timeout + settings.timeout
            problem = Sentence(
                "{problem} (timeout={total} includes the time to connect)",
                problem=problem,
                total=f"{total:g}",
            )
    finally:
        transport.close()
    if response is not None and response.status != 200:
        problem = Sentence("the server responded with HTTP status {status}", status=response.status)
    elif response is not None and len(response.body) > MAX_BYTES:
        problem = Sentence("the document has more than {limit} bytes", limit=MAX_BYTES)
    if response is None or problem:
        raise ConfigurationError(
            Sentence(
                "The WSDL could not be fetched from {url}: {problem}. Check the address and "
                "the proxy. The WSDL in use is unchanged.",
                url=url,
                problem=problem,
            )
        )
    return zeep_adapter.parse(response.body, url)


def _cause(error: NotSent | OutcomeUnknown) -> str:
    """Return what broke, without the sentences about an SMS."""
    text = text_of(error)
    return text.values.get("reason", text) if isinstance(text, Sentence) else text


def refresh(
    endpoint: str, *, timeout: float = 30.0, proxy: str | None = None, verify: Verify = True
) -> Path:
    """Fetch the live WSDL, check it for all protocols, and write it into the cache.

    The cached copy takes precedence over the shipped one, for all clients that are built later.
    The copy that it replaces stays for `roll_back`.

    Args:
        endpoint: as for `fetch`.
        timeout: as for `fetch`.
        proxy: as for `fetch`.
        verify: as for `fetch`.

    Returns:
        The path of the cached copy.

    Raises:
        ConfigurationError: the WSDL could not be fetched, does not fit, or could not be written.
            The cache is unchanged.
    """
    try:
        live = fetch(endpoint, timeout=timeout, proxy=proxy, verify=verify)
    finally:
        del endpoint, proxy
    _check_all(live)
    return replace_cached(live.content, previous=_fitting_copy(cached_path(), but=live.content))


def _check_all(wsdl: Wsdl) -> None:
    """Check that ``sendMesExt`` is the documented operation over all protocols."""
    for protocol in PROTOCOLS:
        zeep_adapter.capture(wsdl, protocol)


def _fitting_copy(path: Path, *, but: bytes) -> bytes | None:
    """Return the content of a copy that fits; None if there is none, or it is ``but``."""
    try:
        content = read(path)
        if content is not None and content != but:
            _check_all(zeep_adapter.parse(content, str(path)))
            return content
    except ConfigurationError:
        pass  # nobody wants it back
    return None


def rollback() -> Path:
    """Bring back the copy that the last refresh replaced; without one, the shipped WSDL.

    Returns:
        The path of the WSDL that is in use now.

    Raises:
        ConfigurationError: there is no cached copy, the previous copy does not fit, or the
            directory cannot be written. Nothing changed.
    """
    previous = read(previous_path())
    if previous is not None:
        _check_all(zeep_adapter.parse(previous, str(previous_path())))
    if not roll_back():
        raise ConfigurationError(
            Sentence(
                "There is nothing to roll back: {shipped_path} is in use, which came with the "
                "package.",
                shipped_path=shipped_path(),
            )
        )
    return find()


# --- in words


@dataclass(frozen=True)
class Comparison:
    """How the live WSDL differs from the one in use."""

    lines: tuple[str, ...]
    """Each difference as a sentence without a full stop; empty if there is none."""
    misfits: Mapping[ProtocolName, str]
    """The protocols that ``sendMesExt`` cannot be sent over by the live WSDL, and why not."""


def compare(used: Wsdl, live: Wsdl) -> Comparison:
    """Compare what two WSDLs say about their operations. Addresses and comments do not count.

    Args:
        used: the WSDL in use.
        live: the WSDL of the service as it is now.
    """
    by_line: dict[str, list[str]] = {}
    for protocol in PROTOCOLS:
        for line in _protocol_differences(protocol, used, live):
            by_line.setdefault(line, []).append(protocol)
    lines = [f"{', '.join(protocols)}: {line}" for line, protocols in by_line.items()]
    old, new = used.description.types, live.description.types
    lines += [f"the type {name} is new" for name in new if name not in old]
    lines += [f"the type {name} is gone" for name in old if name not in new]
    lines += [f"the type {name} differs" for name in old if old[name] != new.get(name, old[name])]
    misfits = {
        protocol: reason
        for protocol in PROTOCOLS
        if (reason := zeep_adapter.misfit(live, protocol))
        and not zeep_adapter.misfit(used, protocol)
    }
    # Words of the live WSDL must be safe for a terminal.
    return Comparison(tuple(truncate_printable(line, 1000) for line in lines), misfits)


def _protocol_differences(protocol: ProtocolName, used: Wsdl, live: Wsdl) -> list[str]:
    old, new = (each.description.operations.get(protocol) for each in (used, live))
    if old is None or new is None:
        return [] if old is new else ["the port is gone" if old else "the port is new"]
    lines = [f"the operation {name} is new" for name in new if name not in old]
    lines += [f"the operation {name} is gone" for name in old if name not in new]
    for name in old:
        if name not in new:
            continue
        if len(old[name]) != len(new[name]):
            lines.append(f"{name} has {len(new[name])} bindings, not {len(old[name])}")
        for before, after in zip(old[name], new[name], strict=False):
            lines += [f"{name}: {line}" for line in differences(after, before)]
    return [*dict.fromkeys(lines)]


__all__ = [
    "Comparison",
    "Wsdl",
    "cache_dir",
    "compare",
    "fetch",
    "find",
    "load",
    "refresh",
    "rollback",
    "shipped_path",
]
