"""Whatever a WSDL says: it changes no request and no result, or it is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.support.wire_samples import BATCH_NO, XML, result_xml
from yunxin_soap import ConfigurationError, Response, wsdl
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.redact import Redactor
from yunxin_soap.transport.base import Request
from yunxin_soap.wire import zeep_adapter
from yunxin_soap.wire.codec import Codec, Fields
from yunxin_soap.wire.description import Unreadable, describe, differences

SHIPPED = wsdl.shipped_path().read_bytes()
FIELDS = Fields("user", "pass", "13900000000", "您好 & <x>【签名】", "37", "")
COUNT = sum(isinstance(each.tag, str) for each in etree.fromstring(SHIPPED).iter())
VALUES = [
    "",
    "0",
    "2",
    "true",
    "unbounded",
    "unqualified",
    "encoded",
    "rpc",
    "GET",
    "POST",
    "s:int",
    "s:string",
    "tns:string",
    "tns:sendMesExt",
    "tns:sendMesExtResponse",
    "tns:MsgSendSoap",
    "tns:MsgSendHttpGet",
    "sendMesExt",
    "string",
    "Msg",
    "DesNo",
    "/sendMesExt",
    "http://tempuri.org/",
    "urn:other",
    "text/xml",
]
NAMES = [
    "default",
    "fixed",
    "nillable",
    "minOccurs",
    "maxOccurs",
    "form",
    "type",
    "ref",
    "element",
    "abstract",
    "substitutionGroup",
    "mixed",
    "use",
    "style",
    "parts",
    "namespace",
    "encodingStyle",
    "name",
]
TAGS = [
    "{http://www.w3.org/2001/XMLSchema}choice",
    "{http://www.w3.org/2001/XMLSchema}all",
    "{http://www.w3.org/2001/XMLSchema}any",
    "{http://www.w3.org/2001/XMLSchema}attribute",
    "{http://www.w3.org/2001/XMLSchema}sequence",
    "{http://www.w3.org/2001/XMLSchema}import",
    "{http://schemas.xmlsoap.org/wsdl/http/}urlReplacement",
    "{http://schemas.xmlsoap.org/wsdl/http/}urlEncoded",
    "{http://schemas.xmlsoap.org/wsdl/mime/}content",
    "{http://schemas.xmlsoap.org/wsdl/mime/}mimeXml",
    "{http://schemas.xmlsoap.org/wsdl/soap/}header",
    "{http://schemas.xmlsoap.org/wsdl/soap12/}body",
    "{http://schemas.xmlsoap.org/wsdl/}part",
    "{urn:other}thing",
]


def requests_of(document: wsdl.Wsdl, protocol: ProtocolName) -> tuple[Any, ...]:
    """Return what a submission sends, but for the prefixes of XML."""
    codec = Codec(document, protocol, "/x", Redactor("pass"))
    request: Request = codec.encode(FIELDS)
    body = request.body
    if body is not None and body.startswith(b"<"):
        # Without prefixes, so that only names, attributes, texts and their order remain.
        envelope = etree.fromstring(body)
        nodes = [(each.tag, dict(each.attrib), each.text) for each in envelope.iter()]
        return request.method, request.path, dict(request.headers), nodes
    pairs = sorted((request.query or (body or b"").decode()).split("&"))
    return request.method, request.path, dict(request.headers), pairs


EXPECTED = {
    protocol: requests_of(zeep_adapter.parse(SHIPPED, "shipped"), protocol)
    for protocol in PROTOCOLS
}
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["delete", "double", "swap", "set", "unset", "tag", "insert", "rename"]),
        st.integers(0, COUNT - 1),
        st.integers(0, COUNT - 1),
        st.sampled_from(NAMES),
        st.sampled_from(VALUES),
        st.sampled_from(TAGS),
    ),
    min_size=1,
    max_size=3,
)


def changed(changes: list[tuple[str, int, int, str, str, str]]) -> bytes:
    """Return the shipped WSDL after some changes of its tree."""
    root = etree.fromstring(SHIPPED)
    for kind, at, other, name, value, tag in changes:
        nodes = [each for each in root.iter() if isinstance(each.tag, str)]
        node = nodes[at % len(nodes)]
        if kind == "insert":
            etree.SubElement(node, tag).set(name, value)
        elif kind in ("set", "unset", "rename", "tag"):
            change_node(kind, node, other, name, value, tag)
        elif (parent := node.getparent()) is not None:
            move_node(kind, node, parent, other)
    return etree.tostring(root)


def change_node(
    kind: str, node: etree._Element, other: int, name: str, value: str, tag: str
) -> None:
    attributes = sorted(map(str, node.attrib))
    if kind == "set":
        node.set(name, value)
    elif kind == "tag":
        node.tag = tag
    elif attributes and kind == "unset":
        del node.attrib[attributes[other % len(attributes)]]
    elif attributes:
        node.set(attributes[other % len(attributes)], value)


def move_node(kind: str, node: etree._Element, parent: etree._Element, other: int) -> None:
    if kind == "delete":
        parent.remove(node)
    elif kind == "double":
        parent.insert(parent.index(node), etree.fromstring(etree.tostring(node)))
    else:
        parent.insert(other % len(parent), node)


@pytest.mark.filterwarnings("ignore::UserWarning")  # zeep warns of what it passes over
@given(CHANGES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_wsdl_that_is_accepted_changes_no_request_and_no_result(
    changes: list[tuple[str, int, int, str, str, str]],
) -> None:
    """A WSDL with any change sends and reads the documented bytes, or raises the one error."""
    try:
        document = zeep_adapter.parse(changed(changes), "changed")
    except ConfigurationError:
        return
    for protocol in PROTOCOLS:
        try:
            sent = requests_of(document, protocol)
        except ConfigurationError:
            continue
        assert sent == EXPECTED[protocol]
        codec = Codec(document, protocol, "/x", Redactor("pass"))
        assert codec.decode(Response(200, XML, result_xml(protocol).encode())) == BATCH_NO


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_parse_of_anything_raises_the_one_error(content: bytes) -> None:
    """Bytes that are no WSDL raise `ConfigurationError` alone."""
    with pytest.raises(ConfigurationError, match="cannot be loaded as a WSDL"):
        zeep_adapter.parse(content, "junk")


def grouped(kind: str, *contents: str) -> bytes:
    """Return the shipped WSDL with groups that each have a content."""
    particles = ("<s:sequence>", "</s:sequence>") if kind == "group" else ("", "")
    groups = [
        f'<s:{kind} name="G{number}">{content.join(particles)}</s:{kind}>'
        for number, content in enumerate(contents)
    ]
    schema = b'<s:element name="sendMesExt">'
    return SHIPPED.replace(schema, "".join(groups).encode() + schema, 1)


@pytest.mark.parametrize("kind", ["group", "attributeGroup"])
def test_describe_groups_that_expand_without_bound_are_refused(kind: str) -> None:
    """References that multiply, or lead back, are refused before zeep follows them."""
    bomb = [f'<s:{kind} ref="tns:G{number + 1}" />' * 10 for number in range(20)]
    with pytest.raises(ConfigurationError, match="its groups stand for more than 10000 elements"):
        zeep_adapter.parse(grouped(kind, *bomb, ""), "x")
    circle = [f'<s:{kind} ref="tns:G1" />', f'<s:{kind} ref="tns:G0" />']
    with pytest.raises(ConfigurationError, match="the group G1 contains itself"):
        zeep_adapter.parse(grouped(kind, *circle), "x")
    zeep_adapter.parse(grouped(kind, f'<s:{kind} ref="tns:G1" />' * 2, ""), "x")


def test_differences_of_one_field_are_named_once() -> None:
    """The facts about a field that only one side has are left out."""
    found = {"a": "string", "namespace of a": "x", "order of the fields": "a", "c": ""}
    expected = {"b": "string", "namespace of b": "x", "order of the fields": "b", "c": "d"}
    assert differences(found, expected) == [
        "b is missing",
        "a is unexpected",
        "c is empty, not d",
    ]


def test_describe_type_without_a_namespace_is_not_the_built_in_one() -> None:
    """``string`` without a prefix is another type than XML Schema's."""
    content = SHIPPED.replace(b'name="Msg" type="s:string"', b'name="Msg" type="string"')
    described = describe(etree.fromstring(content))
    for operations in described.operations.values():
        assert operations["sendMesExt"][0]["Msg"] == "{}string"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('type="tns:MsgSendSoap"', 'type="soap:MsgSendSoap"', "is of another namespace"),
        ('binding="tns:MsgSendSoap"', 'binding="tns:x"', "binding tns:x is missing"),
        (
            'element="tns:sendMesExtResponse"',
            'element="tns:Absent"',
            "element {http://tempuri.org/}Absent is missing",
        ),
    ],
)
def test_describe_of_a_broken_reference_names_it(old: str, new: str, reason: str) -> None:
    """What a WSDL refers to must be there, in its own namespace."""
    content = SHIPPED.replace(old.encode(), new.encode())
    assert content != SHIPPED
    with pytest.raises(Unreadable, match=re.escape(reason)):
        describe(etree.fromstring(content))
