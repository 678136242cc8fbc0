"""Find the cached WSDL, load it into zeep without a network, check it, and refresh it.

The addresses in a WSDL are never used: a tampered file must not be able to send credentials
elsewhere. Only the shape of ``sendMesExt`` is taken from it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.operation import FIELDS, NAMESPACE, OPERATION, PROTOCOLS, ProtocolName

if TYPE_CHECKING:
    from zeep.wsdl import Document
    from zeep.wsdl.definitions import Binding

FILE_NAME = "MsgSend.wsdl"

_MAX_BYTES = 1 << 20
_documents: dict[Path, Document] = {}
_lock = threading.Lock()


def _replace_lock() -> None:
    """Create a new lock in a forked child, which has no thread to release the old one."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_lock)


def cache_dir() -> Path:
    """Return the cache directory of the user; ``YUNXIN_WSDL_CACHE`` overrides it."""
    if override := os.environ.get("YUNXIN_WSDL_CACHE"):
        return Path(override)
    from platformdirs import user_cache_path

    return user_cache_path("yunxin_soap", appauthor=False)


def shipped_path() -> Path:
    """Return the path of the WSDL that is shipped with the package."""
    package = Path(__file__).resolve().parent
    # setup.py maps the directory into the package of a wheel. In a checkout, and so in an editable
    # install, the directory is beside the package.
    for directory in (package, package.parent):
        path = directory / "wsdl_cache" / FILE_NAME
        if path.is_file():
            return path
    raise ConfigurationError(
        f"The installed package has no {FILE_NAME}: install yunxin-soap again, or pass wsdl=."
    )


def find(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the WSDL to load.

    Args:
        path: the file to use. Default: the user's cached copy, or else the shipped one.

    Raises:
        ConfigurationError: ``path`` is not a file.
    """
    if path is not None:
        named = Path(path).expanduser()
        if not named.is_file():
            raise ConfigurationError(f"There is no WSDL file at {named}: name a file that exists.")
        return named.resolve()
    cached = cache_dir() / FILE_NAME
    return cached.resolve() if cached.is_file() else shipped_path()


def load(path: str | os.PathLike[str] | None = None) -> Document:
    """Return the parsed WSDL. All callers share it: each file is read once per process.

    Args:
        path: as for `find`.

    Raises:
        ConfigurationError: the file cannot be read, is not a WSDL, or imports another document.
    """
    found = find(path)
    with _lock:
        document = _documents.get(found)
        if document is None:
            with _as_configuration_error(str(found)):
                content = found.read_bytes()
            document = _documents[found] = _parse(content, str(found))
        return document


def _parse(content: bytes, name: str) -> Document:
    from zeep.settings import Settings
    from zeep.wsdl import Document

    with _as_configuration_error(name):
        return Document(
            _Content(content),
            _NoNetwork(name),  # type: ignore[arg-type]  # zeep asks for load() alone
            base=name,
            settings=Settings(forbid_dtd=True, forbid_entities=True),
        )


@contextmanager
def _as_configuration_error(name: str) -> Iterator[None]:
    """Convert every error that zeep raises for a broken document, or for one that is no WSDL."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ConfigurationError(
            f"{name} cannot be loaded as a WSDL ({reason}): name another file, or delete it."
        ) from error


class _Content:
    """Gives zeep the bytes of the document, so that zeep opens no file itself."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content


class _NoNetwork:
    """Replaces zeep's transport, and loads nothing."""

    binding_classes = ()

    def __init__(self, name: str) -> None:
        self._name = name

    def load(self, url: str) -> bytes:
        raise ConfigurationError(
            f"{self._name} imports {url}, but a WSDL is loaded without a network: name a file"
            " that imports nothing."
        )


def binding(document: Document, protocol: ProtocolName) -> Binding:
    """Check the operation and return zeep's binding.

    Raises:
        ConfigurationError: the WSDL has no port for the protocol, or its ``sendMesExt`` differs
            from the documented one. The message shows the differences.
    """
    from zeep.wsdl import bindings

    kind = {
        "soap": bindings.Soap11Binding,
        "soap12": bindings.Soap12Binding,
        "http-get": bindings.HttpGetBinding,
        "http-post": bindings.HttpPostBinding,
    }[protocol]
    differences = []
    with _as_configuration_error(str(document.location)):
        for each in document.bindings.values():
            if type(each) is not kind:
                continue
            if OPERATION not in each.all():
                names = ", ".join(sorted(each.all())) or "none"
                differences.append(f"its operations are {names}, without {OPERATION}")
            elif difference := _differs(each.get(OPERATION)):
                differences.append(difference)
            else:
                return each
    what = "; ".join(differences) or f"it has no {protocol} port"
    raise ConfigurationError(
        f"The WSDL {document.location} does not fit {OPERATION} over {protocol}: {what}."
        f" Expected {OPERATION}({', '.join(f'{name}: string' for name in FIELDS)}) -> string."
    )


def _differs(operation: Any) -> str:
    """Return how the operation differs from the documented one; empty if it does not."""
    wanted = dict.fromkeys(FIELDS, "string")
    found = _input_types(operation)
    problems = [f"{name} is missing" for name in wanted if name not in found]
    problems += [f"{name} is unknown" for name in found if name not in wanted]
    problems += [
        f"{name} is of type {kind}, not string"
        for name, kind in found.items()
        if name in wanted and kind != "string"
    ]
    result = _output_type(operation)
    if result != "string":
        problems.append(f"its result is {result}, not string")
    # A file must not decide where a request goes, not even on the gateway's own host.
    for name, wanted_value in (
        ("soapaction", f"{NAMESPACE}{OPERATION}"),
        ("location", f"/{OPERATION}"),
    ):
        value = getattr(operation, name, wanted_value)
        if value != wanted_value:
            problems.append(f"its {name} is {value}, not {wanted_value}")
    namespaces = set(_namespaces(operation)) - {NAMESPACE}
    problems += [f"its namespace is {namespace}, not {NAMESPACE}" for namespace in namespaces]
    return ", ".join(problems)


def _namespaces(operation: Any) -> Iterator[str | None]:
    """Yield the namespaces on the wire. HTTP GET and POST have only that of the result."""
    if hasattr(operation, "soapaction"):
        for body in (operation.input.body, operation.output.body):
            yield body.qname.namespace
            yield from (element.qname.namespace for _, element in body.type.elements)
    else:
        for part in operation.output.abstract.parts.values():
            yield part.element.qname.namespace


def _input_types(operation: Any) -> dict[str, str]:
    body = getattr(operation.input, "body", None)
    if body is not None:
        elements = getattr(body.type, "elements", [])
        return {name: _type_name(element) for name, element in elements}
    return {}


def _output_type(operation: Any) -> str:
    """Return the name of the result's type, inside the wrapper element of SOAP."""
    body = getattr(operation.output, "body", None)
    if body is None:
        return "nothing"
    elements = getattr(body.type, "elements", None)
    if elements is None:
        return _type_name(body)
    if len(elements) != 1:
        return f"{len(elements)} elements"
    return _type_name(elements[0][1])


def _type_name(element: Any) -> str:
    from zeep import ns

    qname = element.type.qname
    if qname is None:
        return "an anonymous type"
    name = str(qname.localname if qname.namespace == ns.XSD else qname.text)
    return f"{name}[]" if element.accepts_multiple else name


def refresh(endpoint: str, *, timeout: float = 30.0, verify: bool | str = True) -> Path:
    """Fetch the WSDL of ``endpoint``, check it for all protocols, and write it into the cache.

    From the next process on, the cached copy takes precedence over the shipped one. Redirects are
    not followed, and the environment's proxy is not used.

    Args:
        endpoint: the page, such as ``http://112.124.24.5/api/MsgSend.asmx``.
        timeout: seconds to connect, and seconds to wait for each part of the response.
        verify: as for `Client`.

    Returns:
        The path of the cached copy.

    Raises:
        ConfigurationError: the WSDL could not be fetched, does not fit, or could not be written.
            The cache is unchanged.
    """
    content = _fetch(f"{endpoint}?WSDL", timeout, verify)
    document = _parse(content, f"{endpoint}?WSDL")
    for protocol in PROTOCOLS:
        binding(document, protocol)
    target = cache_dir() / FILE_NAME
    partial = target.with_name(f"{FILE_NAME}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        raise ConfigurationError(
            f"The WSDL could not be written to {target} ({error.strerror}): set YUNXIN_WSDL_CACHE"
            " to another directory."
        ) from error
    return target


def _fetch(url: str, timeout: float, verify: bool | str) -> bytes:
    import requests
    from urllib3.exceptions import HTTPError

    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(
                url, timeout=timeout, verify=verify, allow_redirects=False, stream=True
            ) as response:
                content: bytes = response.raw.read(_MAX_BYTES + 1, decode_content=True)
                status = response.status_code
    except (requests.RequestException, HTTPError, OSError) as error:
        raise ConfigurationError(
            f"The WSDL could not be fetched from {url} ({type(error).__name__}): check the"
            " endpoint. The cached copy is unchanged."
        ) from error
    if status != 200 or len(content) > _MAX_BYTES:
        problem = f"HTTP {status}" if status != 200 else f"more than {_MAX_BYTES} bytes"
        raise ConfigurationError(
            f"The WSDL could not be fetched from {url} ({problem}): check the endpoint. The"
            " cached copy is unchanged."
        )
    return content
