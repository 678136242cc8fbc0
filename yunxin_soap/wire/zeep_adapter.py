"""All that knows zeep's inside: how it reads a WSDL, builds a request and parses a response.

zeep's own operations are called over a transport that captures the request instead of sending it.
So every byte that goes out has zeep as its source. zeep is imported at the first use: it takes
longer than all the rest.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.message import as_text, check_characters
from yunxin_soap.operation import FIELDS, NAMESPACE, OPERATION, ProtocolName
from yunxin_soap.redact import truncate_printable
from yunxin_soap.sentences import Sentence
from yunxin_soap.wire.description import (
    Description,
    Unreadable,
    carrier_differences,
    describe,
    submission_differences,
)
from yunxin_soap.wsdl_files import advise

if TYPE_CHECKING:
    from types import ModuleType

    from lxml import etree
    from zeep.wsdl import Document
    from zeep.wsdl.definitions import Binding

# zeep's modules import each other in circles: a second thread would see half of them. A fork waits
# for the import, since Python's own import locks stay locked in the child.
_import_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_import_lock.acquire,
        after_in_parent=_import_lock.release,
        after_in_child=_import_lock.release,
    )


def import_zeep() -> ModuleType:
    """Return zeep, of which one thread at a time imports all that is used."""
    with _import_lock:
        import zeep
        import zeep.helpers
        import zeep.wsdl.bindings
    return zeep


_thread_local = threading.local()


def _is_allowed(_record: logging.LogRecord) -> bool:
    return not getattr(_thread_local, "is_quiet", False)


@contextmanager
def _zeeps_log_off() -> Iterator[None]:
    """Keep what zeep logs in this thread out of the log: it quotes the response.

    A response may echo the password, and zeep's loggers do not mask it.
    """
    for name in ("xsd.types.simple", "xsd.types.any", "xsd.elements.attribute"):
        logging.getLogger(f"zeep.{name}").addFilter(_is_allowed)
    _thread_local.is_quiet = True
    try:
        yield
    finally:
        _thread_local.is_quiet = False


# --- the document


@dataclass(frozen=True)
class Wsdl:
    """A WSDL that zeep has read."""

    location: str
    """The path or the URL that it came from."""
    content: bytes
    description: Description
    document: Document


def parse(content: bytes, location: str) -> Wsdl:
    """Parse a WSDL. No other document is loaded.

    Args:
        content: the document.
        location: where it came from, for errors.

    Raises:
        ConfigurationError: it is no WSDL, or it imports another document.
    """
    from lxml import etree

    zeep = import_zeep()
    with _as_configuration_error(location):
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        # The description comes first: its errors are clearer than zeep's.
        description = describe(etree.fromstring(content, parser))
        document = zeep.wsdl.Document(
            _Content(content),
            _NoNetwork(location),
            base=location,
            settings=zeep.Settings(forbid_dtd=True, forbid_entities=True),
        )
        return Wsdl(location, content, description, document)


@contextmanager
def _as_configuration_error(location: str) -> Iterator[None]:
    """Convert every error that zeep raises for a broken document, or for one that is no WSDL."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        reason = truncate_printable(" ".join(str(error).split())) or type(error).__name__
        if not isinstance(error, Unreadable):
            reason = f"{type(error).__name__}: {reason}"
        raise ConfigurationError(
            Sentence(
                "{location} cannot be loaded as a WSDL ({reason}): {location2}.",
                location=location,
                reason=reason,
                location2=advise(location),
            )
        ) from error


class _Content:
    """Gives zeep the bytes of the document, so that zeep opens no file itself."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content


class _NoNetwork:
    """Replaces zeep's transport, and loads nothing."""

    def __init__(self, location: str) -> None:
        self._location = location

    def load(self, url: str) -> bytes:
        raise ConfigurationError(
            Sentence(
                "{location} imports {url}, but a WSDL is loaded without a network: name a file "
                "that imports nothing.",
                location=self._location,
                url=_shorten(url),
            )
        )


# --- sendMesExt


def misfit(wsdl: Wsdl, protocol: ProtocolName) -> str:
    """Return why ``sendMesExt`` cannot be sent over a protocol; empty if it can."""
    operations = wsdl.description.operations.get(protocol)
    if operations is None:
        return f"it has no {protocol} port"
    if OPERATION not in operations:
        names = ", ".join(sorted(operations)) or "none"
        return _shorten(f"its operations are {names}, without {OPERATION}")
    # ASP.NET has one operation of a name. If two bindings differ, it is not clear which is right.
    lines = [
        line for facts in operations[OPERATION] for line in submission_differences(protocol, facts)
    ]
    return _shorten("; ".join(dict.fromkeys(lines)))


def _shorten(text: str) -> str:
    """Make words of a WSDL safe for a terminal, and bound them."""
    return truncate_printable(text, 1000)


def check(wsdl: Wsdl, protocol: ProtocolName) -> None:
    """Check that ``sendMesExt`` is the documented operation.

    Raises:
        ConfigurationError: the WSDL has no port for the protocol, or its ``sendMesExt`` differs.
            The message shows the differences.
    """
    if difference := misfit(wsdl, protocol):
        _raise_misfit(wsdl, protocol, difference)


def _raise_misfit(wsdl: Wsdl, protocol: ProtocolName, difference: str) -> NoReturn:
    raise ConfigurationError(
        Sentence(
            "The WSDL {location} does not fit {operation} over {protocol}: {difference}. "
            "Expected {operation}({value}) -> string.",
            location=wsdl.location,
            operation=OPERATION,
            protocol=protocol,
            difference=difference,
            value=", ".join(f"{name}: string" for name in FIELDS),
        )
    )


def _binding(wsdl: Wsdl, protocol: ProtocolName, operation: str) -> Binding:
    """Return zeep's binding of the first port that has the operation over the protocol.

    Raises:
        ConfigurationError: zeep passed over what it could not read.
    """
    kind = _binding_classes()[protocol]
    found: Iterator[Binding] = (
        port.binding
        for service in wsdl.document.services.values()
        for port in service.ports.values()
        if type(port.binding) is kind and operation in port.binding.all()
    )
    binding = next(found, None)
    if binding is None:
        raise ConfigurationError(
            Sentence(
                "zeep finds no port for {operation} over {protocol} in the WSDL {location}: "
                "name another file.",
                operation=operation,
                protocol=protocol,
                location=wsdl.location,
            )
        )
    return binding


def _binding_classes() -> dict[ProtocolName, type[Binding]]:
    bindings = import_zeep().wsdl.bindings
    return {
        "soap": bindings.Soap11Binding,
        "soap12": bindings.Soap12Binding,
        "http-get": bindings.HttpGetBinding,
        "http-post": bindings.HttpPostBinding,
    }


class CapturedRequest(Exception):
    """Leaves zeep with the request that it was about to send."""

    def __init__(self, address: str, headers: Mapping[str, str], content: Any) -> None:
        super().__init__()
        self.address, self.headers = address, headers
        self.content = content
        """The envelope or the form as zeep would send it, or a dictionary of the query's fields."""


class CapturingTransport:
    """Replaces zeep's transport: captures each request instead of sending it."""

    def post_xml(
        self, address: str, envelope: etree._Element, headers: Mapping[str, str]
    ) -> NoReturn:
        """Capture a SOAP request."""
        from zeep.wsdl.utils import etree_to_string

        raise CapturedRequest(address, headers, etree_to_string(envelope))

    def post(self, address: str, message: Any, headers: Mapping[str, str]) -> NoReturn:
        """Capture a request of HTTP GET or POST."""
        raise CapturedRequest(address, headers, message)

    get = post

    @staticmethod
    def capture(call: Callable[[], Any]) -> CapturedRequest:
        """Return the request that a call of zeep's operation makes."""
        try:
            call()
        except CapturedRequest as captured:
            return captured
        raise AssertionError("zeep sent nothing")


def capture(wsdl: Wsdl, protocol: ProtocolName) -> CapturedRequest:
    """Return the request that zeep makes for ``sendMesExt``, with a marker in each field.

    Raises:
        ConfigurationError: the WSDL does not fit the protocol.
    """
    check(wsdl, protocol)
    with _as_configuration_error(wsdl.location):
        operation = _operation(wsdl, protocol, OPERATION)
        markers = {name: f"@@{name}@@" for name in FIELDS}
        captured = CapturingTransport.capture(lambda: operation(**markers))
        if _fields_on_the_wire(captured.content, protocol) != markers:
            _raise_misfit(wsdl, protocol, "zeep would build another request from it")
    return captured


def _operation(wsdl: Wsdl, protocol: ProtocolName, name: str) -> Callable[..., Any]:
    """Return zeep's operation over the capturing transport."""
    client = import_zeep().Client(wsdl.document, transport=CapturingTransport())
    binding = _binding(wsdl, protocol, name)
    operation: Callable[..., Any] = client.create_service(binding.name.text, address="")[name]
    return operation


def _fields_on_the_wire(content: Any, protocol: ProtocolName) -> dict[str, str]:
    """Return what a request holds, by name; anything that is no field has its tag as its name."""
    from urllib.parse import parse_qsl

    from lxml import etree

    if isinstance(content, dict):
        return content
    if protocol == "http-post":
        return dict(parse_qsl(content))
    envelope = etree.fromstring(content)
    tags = [str(node.tag) for node in envelope.iter()]
    (body,) = envelope
    (wrapper,) = body
    prefix = f"{{{NAMESPACE}}}"
    if len(tags) != len(FIELDS) + 3 or wrapper.tag != f"{prefix}{OPERATION}" or wrapper.attrib:
        return dict.fromkeys(tags, "")
    return {str(node.tag).removeprefix(prefix): node.text or "" for node in wrapper}


def parse_template(envelope: str) -> tuple[list[str], list[int]]:
    """Split an envelope at its markers.

    Returns:
        The parts, of which every second one is a field's name, and the index of each of these
        fields in `FIELDS`.
    """
    parts = re.split(r"@@(\w+)@@", envelope)
    return parts, [FIELDS.index(name) for name in parts[1::2]]


def result_path(wsdl: Wsdl, protocol: ProtocolName) -> list[str]:
    """Return the tags from the root of a response down to the element with the result."""
    output: Any = _binding(wsdl, protocol, OPERATION).get(OPERATION).output
    if hasattr(output, "nsmap"):
        namespace = output.nsmap["soap-env"]
        result = output.body.type.elements[0][1]
        tags = [output.body.qname.text, result.qname.text]
        return [f"{{{namespace}}}Envelope", f"{{{namespace}}}Body", *tags]
    (part,) = output.abstract.parts.values()
    return [part.element.qname.text]


# --- every other operation


def unreachable(wsdl: Wsdl, protocol: ProtocolName, name: str) -> str:
    """Return why an operation cannot be called over a protocol; empty if it can."""
    if name == OPERATION:
        return misfit(wsdl, protocol)
    described = wsdl.description.operations.get(protocol, {}).get(name, ())
    lines = [line for facts in described for line in carrier_differences(protocol, name, facts)]
    if any(facts != described[0] for facts in described):
        lines.append(f"{len(described)} bindings describe it differently")
    return _shorten("; ".join(dict.fromkeys(lines))) or _unsupported(wsdl, protocol, name)


def _unsupported(wsdl: Wsdl, protocol: ProtocolName, name: str) -> str:
    try:
        operation: Any = _binding(wsdl, protocol, name).get(name)
    except ConfigurationError as error:
        return str(error)
    if operation.input is None or operation.output is None:
        return "it has no input or no output"
    xsd = import_zeep().xsd
    messages = [operation.output]
    if protocol in ("http-get", "http-post"):
        for part, (_, kind) in operation.input.abstract.parts.items():
            if not isinstance(kind, xsd.AnySimpleType):
                return f"{part} is not of a simple type: use soap"
    else:
        messages.append(operation.input)
    for message in messages:
        parts = [*message.abstract.parts.values()]
        if len(parts) != 1 or parts[0].element is None:
            return "its arguments or its result are not in one element"
    if not isinstance(operation.input.body.type, xsd.ComplexType):
        return "its arguments have no names"
    return ""


def _with_plain_strings(value: Any) -> Any:
    """Return a value whose strings are no members of an enumeration: zeep sends their names."""
    if isinstance(value, str):
        return as_text(value)
    if type(value) is dict:
        return {name: _with_plain_strings(each) for name, each in value.items()}
    return [*map(_with_plain_strings, value)] if type(value) in (list, tuple) else value


_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class Operation:
    """One operation of a WSDL other than ``sendMesExt``, by zeep's own types.

    Args:
        wsdl: the WSDL.
        protocol: what carries the calls.
        name: the operation.

    Raises:
        ConfigurationError: the operation cannot be called over the protocol.
    """

    def __init__(self, wsdl: Wsdl, protocol: ProtocolName, name: str) -> None:
        if reason := unreachable(wsdl, protocol, name):
            raise ConfigurationError(
                Sentence(
                    "The operation {name} of the WSDL {location} cannot be called over {protocol}: "
                    "{reason}.",
                    name=name,
                    location=wsdl.location,
                    protocol=protocol,
                    reason=reason,
                )
            )
        self._call = _operation(wsdl, protocol, name)
        self._operation: Any = _binding(wsdl, protocol, name).get(name)
        self._is_soap = hasattr(self._operation.input, "nsmap")
        kind = self._operation.input.body.type
        self._elements: dict[str, Any] = dict([*kind.elements, *kind.attributes])
        self.parameters = list(self._elements)
        """The names of the parameters, in order."""

    def build(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CapturedRequest:
        """Return the request that zeep builds for a call.

        Raises:
            TypeError: the arguments are not those of the operation.
            Exception: zeep cannot convert an argument.
        """
        given = self._bind(args, kwargs)
        for name, value in given.items():
            kind = self._elements[name].type
            if isinstance(kind, import_zeep().xsd.AnySimpleType):
                for each in value if isinstance(value, (list, tuple)) else [value]:
                    # zeep itself would write what is no number into an element for one.
                    if each is not None:
                        kind.pythonvalue(kind.xmlvalue(each))
        if not self._is_soap:
            given = self._as_texts(given)
        return CapturingTransport.capture(lambda: self._call(**given))

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name.

        zeep accepts one twice, drops an unknown one on http-get, and has options of its own, which
        put headers into an envelope, for example.
        """
        name = self._operation.name
        if len(args) > len(self.parameters):
            raise TypeError(f"{name} takes {len(self.parameters)} arguments, not {len(args)}")
        given = dict(zip(self.parameters, args, strict=False))
        for each, value in kwargs.items():
            if each not in self._elements:
                raise TypeError(f"{name} has no argument {each!r}")
            if each in given:
                raise TypeError(f"{name} got the argument {each!r} twice")
            given[each] = value
        return {each: _with_plain_strings(value) for each, value in given.items()}

    def _as_texts(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return all arguments of an HTTP port as the texts that XML Schema has for their values.

        zeep would send an omitted one as the word ``None``, and ASP.NET needs each.
        """
        texts = dict.fromkeys(self.parameters, "")
        for name, value in given.items():
            if value is not None:
                texts[name] = str(self._elements[name].type.xmlvalue(value))
                check_characters(texts[name], name)
        return texts

    def read(self, root: etree._Element) -> Any:
        """Return the result that zeep finds in a response.

        Args:
            root: the root of a response that is no fault.

        Raises:
            Exception: it is not a response of this operation.
        """
        from lxml import etree

        output = self._operation.output
        if self._is_soap:
            (content,) = root.iterfind(f"{{{output.nsmap['soap-env']}}}Body/*")
            expected = output.body.qname.text
        else:
            content = root
            (part,) = output.abstract.parts.values()
            expected = part.element.qname.text
        if content.tag != expected:
            raise ValueError(f"the root of the content is not {expected}")
        if content.get(_NIL) in ("true", "1") and not len(content):
            return None
        with _zeeps_log_off():
            result = self._operation.process_reply(root if self._is_soap else etree.tostring(root))
        if _count_values(to_plain(result)) < _count_texts(content):
            # zeep logs that it could not convert a text, and returns None for it.
            raise ValueError("a text is not of its type")
        return result


def _count_texts(content: etree._Element) -> int:
    return sum(not len(node) and bool((node.text or "").strip()) for node in content.iter())


def _count_values(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(map(_count_values, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_count_values, value))
    # The content of an element of any type is an element itself.
    return _count_texts(value) if hasattr(value, "iter") else value is not None


def to_plain(value: Any) -> Any:
    """Return zeep's own objects as dictionaries and lists, and other values as they are."""
    return import_zeep().helpers.serialize_object(value)


# --- what the command line shows


def list_types(wsdl: Wsdl) -> list[str]:
    """Return the global elements and types of the WSDL's own schemas, as zeep writes them."""
    schema = wsdl.document.types
    built_in = import_zeep().ns.XSD
    return sorted(
        _shorten(each.signature(schema=schema))
        for each in (*schema.elements, *schema.types)
        if each.qname is not None and each.qname.namespace not in (built_in, None)
    )


@dataclass(frozen=True)
class Port:
    """A port of a WSDL as zeep sees it."""

    name: str
    protocol: ProtocolName
    address: str
    """Where the WSDL says that the port is. No request goes there."""
    operations: Mapping[str, str]
    """The signature of each operation."""


def list_ports(wsdl: Wsdl) -> list[Port]:
    """Return all ports of all services."""
    protocols = {kind: protocol for protocol, kind in _binding_classes().items()}
    return [
        Port(
            _shorten(port.name),
            protocols[type(port.binding)],
            _shorten(str(port.binding_options.get("address") or "")),
            {name: _shorten(str(each)) for name, each in sorted(port.binding.all().items())},
        )
        for service in wsdl.document.services.values()
        for port in service.ports.values()
    ]
