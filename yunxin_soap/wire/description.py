"""Read what a WSDL says about each operation, as facts that can be compared. Does no I/O.

A fact is a name and a value, both in the words of the WSDL, such as ``Msg`` and ``string``. All
that is in the WSDL and may change a request or a response is a fact, also what this module does not
know: an unknown element or attribute makes a fact of its own. So whatever differs from the
documented operation is found and can be named. Addresses, prefixes and comments are no facts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yunxin_soap.operation import FIELDS, NAMESPACE, OPERATION, PROTOCOLS, ProtocolName
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from lxml.etree import _Element

Facts = Mapping[str, str]
"""What a WSDL says about one operation over one protocol."""

_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_XSD = "{http://www.w3.org/2001/XMLSchema}"
_HTTP = "{http://schemas.xmlsoap.org/wsdl/http/}"
_MIME = "{http://schemas.xmlsoap.org/wsdl/mime/}"
_SOAP = {
    "soap": "{http://schemas.xmlsoap.org/wsdl/soap/}",
    "soap12": "{http://schemas.xmlsoap.org/wsdl/soap12/}",
}
_VERBS = {"http-get": "GET", "http-post": "POST"}
_INPUT_ENCODING = {
    "http-get": "http:urlEncoded",
    "http-post": "mime:content application/x-www-form-urlencoded",
}
_OUTPUT_ENCODING = "mime:mimeXml"
_CONTENT = {"request": "fields", "response": "results"}
# What zeep does not know how to carry, other than what it knows how to put into a content.
_UNEXPECTED_CARRIER = re.compile(r"unexpected (?!.* (?:in|of) the (?:request|response)\b)")
_GROUPS = ("group", "attributeGroup")
_REFERENCES = ("type", "base", "ref", "itemType", "element", "message", "binding")
_TRANSPORT = "http://schemas.xmlsoap.org/soap/http"
_MAX_EXPANDED = 10_000
"""The most elements and attributes that all references to groups may stand for."""
# Every call sends all its fields, none of them null, and an absent result is read as an empty one.
_HARMLESS = ("minOccurs of ", "nillable of ")


class Unreadable(Exception):
    """A document is no WSDL, or it is not consistent."""


@dataclass(frozen=True)
class Description:
    """All operations of a WSDL."""

    operations: Mapping[ProtocolName, Mapping[str, tuple[Facts, ...]]]
    """For each protocol that has a port, its operations; one entry for each binding of a port."""
    types: Mapping[str, str]
    """The global types of the schemas by name, each as one line of XML."""


def expected_facts(protocol: ProtocolName) -> dict[str, str]:
    """Return the facts of the documented ``sendMesExt`` that matter to a submission."""
    facts = _expected_carrier(protocol, OPERATION)
    if protocol in _SOAP:
        facts |= {
            "request element": f"{{{NAMESPACE}}}{OPERATION}",
            "request content": "sequence",
            **dict.fromkeys(FIELDS, "string"),
            **{f"namespace of {name}": NAMESPACE for name in FIELDS},
            "order of the fields": ", ".join(FIELDS),
            "response element": f"{{{NAMESPACE}}}{OPERATION}Response",
            "response content": "sequence",
            f"{OPERATION}Result": "string",
            f"namespace of {OPERATION}Result": NAMESPACE,
            "order of the results": f"{OPERATION}Result",
        }
    else:
        facts |= {
            **dict.fromkeys(FIELDS, "string"),
            "response element": f"{{{NAMESPACE}}}string",
            "response type": "string",
        }
    return facts


def _expected_carrier(protocol: ProtocolName, operation: str) -> dict[str, str]:
    """Return the facts that do not depend on an operation's fields and result."""
    if protocol in _SOAP:
        return {
            "the transport": _TRANSPORT,
            "the style": "document",
            "the soapAction": f"{NAMESPACE}{operation}",
            "use of the input": "literal",
            "use of the output": "literal",
        }
    return {
        "the verb": _VERBS[protocol],
        "the location": f"/{operation}",
        "encoding of the input": _INPUT_ENCODING[protocol],
        "encoding of the output": _OUTPUT_ENCODING,
    }


def carrier_differences(protocol: ProtocolName, operation: str, facts: Facts) -> list[str]:
    """Return how an operation is carried in another way than `sendMesExt` is.

    A file must not decide where a request goes, not even on the gateway's own host, nor put an
    argument into the path.
    """
    expected = _expected_carrier(protocol, operation)
    found = {name: facts[name] for name in expected if name in facts}
    return differences(found, expected) + [
        f"{name}: {value}" for name, value in facts.items() if _UNEXPECTED_CARRIER.match(name)
    ]


def submission_differences(protocol: ProtocolName, facts: Facts) -> list[str]:
    """Return how the facts of ``sendMesExt`` differ from the documented ones, in words."""
    found = {name: value for name, value in facts.items() if not name.startswith(_HARMLESS)}
    return differences(found, expected_facts(protocol))


def differences(found: Facts, expected: Facts) -> list[str]:
    """Return in words how one set of facts differs from another."""
    missing, unexpected = _names_of_one(expected, found), _names_of_one(found, expected)
    lines = [f"{name} is missing" for name in missing]
    lines += [
        f"{name}: {found[name]}" if name.startswith("unexpected ") else f"{name} is unexpected"
        for name in unexpected
    ]
    for name, value in found.items():
        # The order says nothing new if the names differ.
        if name.startswith("order of ") and (missing or unexpected):
            continue
        if name in expected and value != expected[name]:
            lines.append(f"{name} is {value or 'empty'}, not {expected[name] or 'empty'}")
    return lines


def _names_of_one(one: Facts, other: Facts) -> list[str]:
    """Return the facts that only one has, but not those about a field that only one has."""
    names = [name for name in one if name not in other]
    return [name for name in names if name.partition(" of ")[2] not in names]


def describe(root: _Element) -> Description:
    """Return what a WSDL says.

    Args:
        root: the root element of the WSDL.

    Raises:
        Unreadable: it is no WSDL, or it refers to something that it does not define.
    """
    if root.tag != f"{_WSDL}definitions":
        raise Unreadable(
            Sentence("its root element is {root}, not definitions of WSDL 1.1", root=_local(root))
        )
    if root.getroottree().docinfo.doctype:
        raise Unreadable("it has a DOCTYPE")
    return _Reader(root).describe()


class _Reader:
    """Looks up the definitions of one WSDL by name."""

    def __init__(self, root: _Element) -> None:
        self._root = root
        self._schemas = [*root.iterfind(f"{_WSDL}types/{_XSD}schema")]
        self._definitions = {
            kind: _by_name(root.iterfind(f"{_WSDL}{kind}"))
            for kind in ("binding", "portType", "message")
        }
        self._globals = {
            kind: _by_name(
                (node for schema in self._schemas for node in schema.iterfind(f"{_XSD}{kind}")),
                _global_name,
            )
            for kind in ("element", "complexType", *_GROUPS)
        }
        self._abstract: dict[_Element, dict[str, list[_Element]]] = {}
        """The operations of each portType."""

    def describe(self) -> Description:
        self._check_groups()
        operations: dict[ProtocolName, dict[str, tuple[Facts, ...]]] = {}
        for binding in self._bindings():
            protocol = _protocol(binding)
            if protocol is None:
                continue
            of_protocol = operations.setdefault(protocol, {})
            unexpected = self._unexpected(binding)
            for name, nodes in _by_name(binding.iterfind(f"{_WSDL}operation")).items():
                facts = unexpected | self._operation(protocol, binding, name, nodes)
                of_protocol[name] = (*of_protocol.get(name, ()), facts)
        types = {
            _global_name(node): self._text(node)
            for schema in self._schemas
            for node in schema
            if node.tag in (f"{_XSD}complexType", f"{_XSD}simpleType")
        }
        return Description(operations, types)

    def _check_groups(self) -> None:
        """Check how large a schema becomes where zeep replaces references to groups by them.

        A few groups that each have another one several times would keep zeep busy for ever.
        """
        sizes: dict[_Element, int] = {}
        pending: set[_Element] = set()

        def expanded(node: _Element) -> int:
            if node in pending:
                raise Unreadable(Sentence("the group {node} contains itself", node=_name(node)))
            if node not in sizes:
                pending.add(node)
                sizes[node] = sum(1 for _ in node.iter()) + references(node)
                pending.remove(node)
            return sizes[node]

        def references(node: _Element) -> int:
            return sum(
                expanded(definition)
                for kind in _GROUPS
                for each in node.iter(f"{_XSD}{kind}")
                for definition in self._globals[kind].get(self._qname(each, "ref"), ())
            )

        if sum(map(references, self._schemas)) > _MAX_EXPANDED:
            raise Unreadable(
                Sentence(
                    "its groups stand for more than {max_expanded} elements",
                    max_expanded=_MAX_EXPANDED,
                )
            )

    def _bindings(self) -> list[_Element]:
        """Return the bindings of all ports, each of them once."""
        ports = self._root.iterfind(f"{_WSDL}service/{_WSDL}port")
        return [*dict.fromkeys(self._definition("binding", port, "binding") for port in ports)]

    def _definition(self, kind: str, node: _Element, attribute: str) -> _Element:
        """Return the definition that an attribute of ``node`` refers to."""
        reference = node.get(attribute, "")
        prefix, colon, name = reference.rpartition(":")
        if colon and node.nsmap.get(prefix) != self._root.get("targetNamespace"):
            raise Unreadable(
                Sentence(
                    "{kind} {reference} is of another namespace", kind=kind, reference=reference
                )
            )
        return _only(self._definitions[kind].get(name, []), f"{kind} {reference}")

    def _global(self, kind: str, qname: str) -> _Element:
        """Return a global definition of the schemas."""
        return _only(self._globals[kind].get(qname, []), f"{kind} {qname}")

    def _operation(
        self, protocol: ProtocolName, binding: _Element, name: str, nodes: list[_Element]
    ) -> dict[str, str]:
        port_type = self._definition("portType", binding, "type")
        if port_type not in self._abstract:
            self._abstract[port_type] = _by_name(port_type.iterfind(f"{_WSDL}operation"))
        abstract = self._abstract[port_type].get(name)
        if abstract is None:
            raise Unreadable(
                Sentence(
                    "portType {port_type} has no operation {name}",
                    port_type=_name(port_type),
                    name=name,
                )
            )
        facts = self._unexpected(nodes[0]) | self._unexpected(abstract[0])
        count = max(len(nodes), len(abstract))
        if count > 1:
            facts["unexpected definitions"] = f"{count} operations of this name"
        read = self._soap if protocol in _SOAP else self._http
        facts.update(read(protocol, binding, nodes[0], abstract[0]))
        return facts

    def _unexpected(self, node: _Element) -> dict[str, str]:
        """Return what is in a binding or in an operation and is read nowhere else."""
        return {
            f"unexpected {_local(child)}": self._text(child)
            for child in node
            if not _is_known_child(child)
        }

    # --- how it is carried

    def _soap(
        self, protocol: ProtocolName, binding: _Element, operation: _Element, abstract: _Element
    ) -> Iterator[tuple[str, str]]:
        soap = _SOAP[protocol]
        carrier = _only(binding.findall(f"{soap}binding"), "soap:binding")
        action = _only(operation.findall(f"{soap}operation"), "soap:operation")
        yield "the transport", carrier.get("transport", "")
        yield "the style", action.get("style", carrier.get("style", "document"))
        yield "the soapAction", action.get("soapAction", "")
        for direction, role in (("input", "request"), ("output", "response")):
            parts = self._parts(abstract, direction)
            for child in self._extensions(operation, direction):
                if child.tag != f"{soap}body":
                    yield f"unexpected {_local(child)} of the {direction}", self._text(child)
                    continue
                yield f"use of the {direction}", child.get("use", "literal")
                names = child.get("parts")
                if names is not None and names != " ".join(map(_name, parts)):
                    yield f"unexpected parts of the {direction}", names
                for attribute in ("namespace", "encodingStyle"):
                    if value := child.get(attribute):
                        yield f"unexpected {attribute} of the {direction}", value
            if len(parts) == 1 and parts[0].get("element"):
                yield from self._wrapper(role, self._qname(parts[0], "element"))
            else:
                yield f"{role} element", f"{len(parts)} parts with types of their own"

    def _http(
        self, protocol: ProtocolName, binding: _Element, operation: _Element, abstract: _Element
    ) -> Iterator[tuple[str, str]]:
        yield "the verb", _only(binding.findall(f"{_HTTP}binding"), "http:binding").get("verb", "")
        action = _only(operation.findall(f"{_HTTP}operation"), "http:operation")
        yield "the location", action.get("location", "")
        for direction in ("input", "output"):
            encodings = [_encoding(each) for each in self._extensions(operation, direction)]
            yield f"encoding of the {direction}", ", ".join(encodings) or "none"
        parts = self._parts(abstract, "input")
        for name in dict.fromkeys(map(_name, parts)):
            found = [part for part in parts if _name(part) == name]
            yield name, self._part_type(found[0]) if len(found) == 1 else f"{len(found)} parts"
        parts = self._parts(abstract, "output")
        if len(parts) == 1 and parts[0].get("element"):
            qname = self._qname(parts[0], "element")
            element = self._global("element", qname)
            yield "response element", qname
            yield "response type", self._type(element)
            yield from self._attributes(element, "the response element")
        else:
            yield "response element", "none"
            yield "response type", ", ".join(map(self._part_type, parts)) or "none"

    def _extensions(self, operation: _Element, direction: str) -> list[_Element]:
        """Return what a binding says about the input or the output of an operation."""
        nodes = operation.findall(f"{_WSDL}{direction}")
        return [child for node in nodes for child in node if _is_read(child)]

    def _parts(self, abstract: _Element, direction: str) -> list[_Element]:
        nodes = abstract.findall(f"{_WSDL}{direction}")
        if len(nodes) > 1:
            raise Unreadable(
                Sentence(
                    "operation {abstract} has {count} {direction}s",
                    abstract=_name(abstract),
                    count=len(nodes),
                    direction=direction,
                )
            )
        messages = [self._definition("message", node, "message") for node in nodes]
        return [part for message in messages for part in message.iterfind(f"{_WSDL}part")]

    def _part_type(self, part: _Element) -> str:
        if part.get("element"):
            return f"the element {self._qname(part, 'element')}"
        return self._type(part)

    # --- what it carries

    def _wrapper(self, role: str, qname: str) -> Iterator[tuple[str, str]]:
        """Yield the facts of the element that wraps the fields, or the result."""
        element = self._global("element", qname)
        yield f"{role} element", qname
        yield from self._attributes(element, f"the {role} element")
        content = element.find(f"{_XSD}complexType")
        for child in filter(_is_read, element):
            if child is not content:
                yield f"unexpected {_local(child)} in the {role} element", self._text(child)
        if content is None:
            kind = self._type(element)
            if not kind.startswith("{"):
                yield f"{role} content", kind
                return
            content = self._global("complexType", kind.removeprefix("{}"))
        for attribute, value in content.attrib.items():
            if attribute not in ("name", "id"):
                yield f"unexpected {_word(attribute)} of the {role}", str(value)
        groups: list[str] = []
        for child in filter(_is_read, content):
            if _local(child) not in ("sequence", "all", "choice"):
                yield f"unexpected {_local(child)} in the {role}", self._text(child)
                continue
            conditions = [f" with {name}={value}" for name, value in child.attrib.items()]
            groups.append("".join([_local(child), *conditions]))
            yield from self._group(role, child)
        yield f"{role} content", ", ".join(groups) or "none"

    def _group(self, role: str, group: _Element) -> Iterator[tuple[str, str]]:
        names: list[str] = []
        for particle in filter(_is_read, group):
            if particle.tag != f"{_XSD}element":
                yield f"unexpected {_local(particle)} in the {role}", self._text(particle)
                continue
            name, facts = self._particle(particle)
            names.append(name)
            yield from facts.items()
        yield f"order of the {_CONTENT[role]}", ", ".join(names)

    def _particle(self, element: _Element) -> tuple[str, dict[str, str]]:
        """Return the name and the facts of a field or a result."""
        if element.get("ref"):
            qname = self._qname(element, "ref")
            return qname, {qname: self._text(element)}
        name = _name(element)
        low, high = element.get("minOccurs", "1"), element.get("maxOccurs", "1")
        once = low in ("0", "1") and high == "1"
        facts = {name: self._type(element) + ("" if once else "[]")}
        (schema,) = element.iterancestors(f"{_XSD}schema")
        form = element.get("form", schema.get("elementFormDefault", "unqualified"))
        namespace = schema.get("targetNamespace", "") if form == "qualified" else ""
        facts[f"namespace of {name}"] = namespace
        facts[f"minOccurs of {name}"] = low
        facts.update(self._attributes(element, name))
        return name, facts

    def _attributes(self, element: _Element, name: str) -> Iterator[tuple[str, str]]:
        """Yield the facts of an element that few elements have."""
        for attribute, value in element.attrib.items():
            if attribute == "nillable" and value in ("false", "0"):
                continue
            if attribute not in ("name", "type", "minOccurs", "maxOccurs", "form", "id"):
                yield f"{_word(attribute)} of {name}", str(value)

    def _type(self, element: _Element) -> str:
        if element.get("type"):
            qname = self._qname(element, "type")
            # A type without a namespace is not the built-in one of that name.
            return qname.removeprefix(_XSD) if qname.startswith("{") else f"{{}}{qname}"
        inline = [child for child in element if _is_read(child)]
        return " ".join(map(self._text, inline)) or "anyType"

    def _qname(self, node: _Element, attribute: str) -> str:
        return _resolve(node, node.get(attribute, ""))

    def _text(self, node: _Element) -> str:
        """Return a definition on one line: without comments, its references with namespaces."""
        attributes = [
            f'{_word(name)}="{_resolve(node, str(value)) if name in _REFERENCES else value}"'
            for name, value in sorted(node.attrib.items())
        ]
        start = " ".join([_local(node), *attributes])
        children = "".join(self._text(child) for child in node if _is_read(child))
        return f"<{start}>{children}</{_local(node)}>" if children else f"<{start}>"


def _protocol(binding: _Element) -> ProtocolName | None:
    for protocol in PROTOCOLS:
        if protocol in _SOAP:
            if binding.find(f"{_SOAP[protocol]}binding") is not None:
                return protocol
        else:
            node = binding.find(f"{_HTTP}binding")
            if node is not None and node.get("verb") == _VERBS[protocol]:
                return protocol
    return None


def _encoding(node: _Element) -> str:
    """Return how an HTTP port encodes one side of an operation."""
    prefix = {_HTTP: "http:", _MIME: "mime:"}.get(_namespace(node), _namespace(node))
    words = [f"{prefix}{_local(node)}"]
    # The part is the only one.
    words += [str(value) for name, value in sorted(node.attrib.items()) if name != "part"]
    return " ".join(words)


def _is_known_child(node: _Element) -> bool:
    """Tell whether the reader reads a child of a binding or of an operation elsewhere."""
    known = ("operation", "input", "output", "fault", "binding")
    spaces = (_WSDL, _HTTP, *_SOAP.values())
    return not _is_read(node) or (_namespace(node) in spaces and _local(node) in known)


def _is_read(node: _Element) -> bool:
    """Tell whether an element is no comment and no documentation."""
    # The tag of a comment or a processing instruction is a function.
    ignored = (f"{_WSDL}documentation", f"{_XSD}annotation")
    return isinstance(node.tag, str) and node.tag not in ignored


def _only(nodes: list[_Element], what: str) -> _Element:
    if len(nodes) != 1:
        if not nodes:
            raise Unreadable(Sentence("{what} is missing", what=what))
        raise Unreadable(Sentence("{what} is defined {count} times", what=what, count=len(nodes)))
    return nodes[0]


def _resolve(node: _Element, reference: str) -> str:
    prefix, _, name = reference.rpartition(":")
    namespace = node.nsmap.get(prefix or None)
    return f"{{{namespace}}}{name}" if namespace else name


def _name(node: _Element) -> str:
    name = node.get("name", "")
    # No name can be mistaken for that of another fact: those have blanks.
    if not re.fullmatch(r"[\w.-]*", name):
        raise Unreadable(Sentence("{name} is not a name", name=repr(name)))
    return name


def _global_name(node: _Element) -> str:
    """Return the name of a global definition with the namespace of its schema in braces."""
    (schema,) = node.iterancestors(f"{_XSD}schema")
    namespace = schema.get("targetNamespace")
    return f"{{{namespace}}}{_name(node)}" if namespace else _name(node)


def _by_name(
    nodes: Iterable[_Element], name_of: Callable[[_Element], str] = _name
) -> dict[str, list[_Element]]:
    found: dict[str, list[_Element]] = {}
    for node in nodes:
        found.setdefault(name_of(node), []).append(node)
    return found


def _namespace(node: _Element) -> str:
    """Return the namespace of an element, in braces."""
    return str(node.tag).rpartition("}")[0] + "}"


def _local(node: _Element) -> str:
    return _word(str(node.tag))


def _word(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("}")[2]
