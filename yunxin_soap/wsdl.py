"""Finds the cached WSDL, loads it into zeep without a network, checks it, refreshes it.

An address inside a WSDL is never used: a tampered file must not be able to send credentials
elsewhere. Only the shape of ``sendMesExt`` is taken from it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from zeep.wsdl import Document
    from zeep.wsdl.definitions import Binding

FILE_NAME = "MsgSend.wsdl"
OPERATION = "sendMesExt"
NAMESPACE = "http://tempuri.org/"
FIELDS = ("userCode", "userPass", "DesNo", "Msg", "Channel", "ExeNo")
"""The six parameters of ``sendMesExt``, in the vendor's spelling and order."""

ProtocolName = Literal["soap", "soap12", "http-get", "http-post"]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)

_SIZE_LIMIT = 1 << 20
_documents: dict[Path, Document] = {}
_lock = threading.Lock()


def _forget_lock() -> None:
    """Take a new lock in a forked child: the thread that held the old one is not there."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


def cache_dir() -> Path:
    """Return the user-level cache directory; ``YUNXIN_WSDL_CACHE`` overrides it."""
    if override := os.environ.get("YUNXIN_WSDL_CACHE"):
        return Path(override)
    from platformdirs import user_cache_path

    return user_cache_path("yunxin_soap", appauthor=False)


def shipped_path() -> Path:
    """Return the WSDL that comes with the package, wherever it was installed from."""
    package = Path(__file__).resolve().parent
    # In a wheel setup.py has mapped the directory into the package; in a checkout, and so in an
    # editable install, it stands beside the package.
    for directory in (package, package.parent):
        path = directory / "wsdl_cache" / FILE_NAME
        if path.is_file():
            return path
    raise ConfigurationError(
        f"The package has lost its {FILE_NAME}: install yunxin-soap again, or name a WSDL file."
    )


def find(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the WSDL to load: ``path``, else the user-level copy, else the shipped one.

    Raises:
        ConfigurationError: ``path`` is no file.
    """
    if path is not None:
        named = Path(path).expanduser()
        if not named.is_file():
            raise ConfigurationError(f"There is no WSDL file at {named}: name one that exists.")
        return named.resolve()
    cached = cache_dir() / FILE_NAME
    return cached.resolve() if cached.is_file() else shipped_path()


def load(path: str | os.PathLike[str] | None = None) -> Document:
    """Return the parsed WSDL, shared by all callers; each file is read once per process.

    Raises:
        ConfigurationError: the file cannot be read, is no WSDL, or wants another document.
    """
    found = find(path)
    with _lock:
        document = _documents.get(found)
        if document is None:
            with _fitting(str(found)):
                content = found.read_bytes()
            document = _documents[found] = _parse(content, str(found))
        return document


def _parse(content: bytes, name: str) -> Document:
    from zeep.settings import Settings
    from zeep.wsdl import Document

    with _fitting(name):
        return Document(
            _Content(content),
            _NoNetwork(name),  # type: ignore[arg-type]  # zeep asks for load() alone
            base=name,
            settings=Settings(forbid_dtd=True, forbid_entities=True),
        )


@contextmanager
def _fitting(name: str) -> Iterator[None]:
    """Turn whatever zeep trips over, in a document that is no WSDL or a broken one, into ours."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ConfigurationError(
            f"{name} cannot be loaded as a WSDL ({reason}): name another file, or remove it."
        ) from error


class _Content:
    """Hands zeep the bytes of the document, so that it opens nothing itself."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content


class _NoNetwork:
    """Stands where zeep wants a transport, and refuses to load anything through it."""

    binding_classes = ()

    def __init__(self, name: str) -> None:
        self._name = name

    def load(self, url: str) -> bytes:
        raise ConfigurationError(
            f"{self._name} imports {url}, and a WSDL is loaded without a network here: name a"
            " file that is whole in itself."
        )


def binding(document: Document, port: ProtocolName) -> Binding:
    """Return zeep's binding for one port, once its operation is known to fit.

    Raises:
        ConfigurationError: the WSDL has no such port, or its ``sendMesExt`` is not the documented
            one; the message shows what differs.
    """
    from zeep.wsdl import bindings

    kind = {
        "soap": bindings.Soap11Binding,
        "soap12": bindings.Soap12Binding,
        "http-get": bindings.HttpGetBinding,
        "http-post": bindings.HttpPostBinding,
    }[port]
    differences = []
    with _fitting(str(document.location)):
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
    what = "; ".join(differences) or f"it has no {port} port"
    raise ConfigurationError(
        f"The WSDL {document.location} does not fit {OPERATION} on the {port} port: {what}."
        f" Expected {OPERATION}({', '.join(f'{name}: string' for name in FIELDS)}) -> string."
    )


def _differs(operation: Any) -> str:
    """Say how the operation differs from the documented one; empty if it does not."""
    wanted = dict.fromkeys(FIELDS, "string")
    found = _input_types(operation)
    problems = [f"{name} is missing" for name in wanted if name not in found]
    problems += [f"{name} is not known" for name in found if name not in wanted]
    problems += [
        f"{name} is of type {kind}, not string"
        for name, kind in found.items()
        if name in wanted and kind != "string"
    ]
    answer = _output_type(operation)
    if answer != "string":
        problems.append(f"its answer is {answer}, not string")
    # Where a request goes, on the gateway's own host too, is not for a file to say.
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
    """Name the namespaces of the elements on the wire; the HTTP ports have one, in the answer."""
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
    """Name the type of what the method returns, below the wrapper that SOAP puts round it."""
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
    """Fetch the WSDL that ``endpoint`` serves, check all it holds, and put it into the cache.

    The user-level copy takes precedence over the shipped one from the next process on. No
    redirect is followed.

    Args:
        endpoint: the page, such as ``http://112.124.24.5/api/MsgSend.asmx``.
        timeout: seconds to wait for the connection, and for each part of the answer.
        verify: as for `Client`.

    Raises:
        ConfigurationError: nothing was fetched, or it does not fit; the cache is untouched.
    """
    content = _fetch(f"{endpoint}?WSDL", timeout, verify)
    document = _parse(content, f"{endpoint}?WSDL")
    for port in PROTOCOLS:
        binding(document, port)
    target = cache_dir() / FILE_NAME
    partial = target.with_name(f"{FILE_NAME}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        raise ConfigurationError(
            f"The WSDL could not be kept at {target} ({error.strerror}): name another directory"
            " in YUNXIN_WSDL_CACHE."
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
                content: bytes = response.raw.read(_SIZE_LIMIT + 1, decode_content=True)
                status = response.status_code
    except (requests.RequestException, HTTPError, OSError) as error:
        raise ConfigurationError(
            f"The WSDL could not be fetched from {url} ({type(error).__name__}): check the"
            " endpoint; the cached copy stays in use."
        ) from error
    if status != 200 or len(content) > _SIZE_LIMIT:
        problem = f"HTTP {status}" if status != 200 else f"more than {_SIZE_LIMIT} bytes"
        raise ConfigurationError(
            f"The WSDL could not be fetched from {url} ({problem}): check the endpoint; the"
            " cached copy stays in use."
        )
    return content
