"""HTTP responses of the gateway, as bytes: good ones, faults and any other."""

from __future__ import annotations

BATCH_NO = "2114355899380234221"
XML = "text/xml; charset=utf-8"
HTML = "text/html; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


def http_response(
    body: str | bytes,
    status: str = "200 OK",
    content_type: str = XML,
    *headers: str,
    length: int | None = None,
) -> bytes:
    """Return an HTTP response.

    Args:
        body: the body.
        status: the status code and the reason.
        content_type: the value of the Content-Type header.
        headers: further header lines.
        length: the value of the Content-Length header. Default: the correct one.
    """
    content = body.encode() if isinstance(body, str) else body
    size = len(content) if length is None else length
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {size}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def result_xml(protocol: str, result: str = BATCH_NO) -> str:
    """Return the document in which the service returns ``result`` over a protocol."""
    if protocol.startswith("http-"):
        return (
            '<?xml version="1.0" encoding="utf-8"?>\r\n'
            f'<string xmlns="http://tempuri.org/">{result}</string>'
        )
    return soap_envelope(
        protocol,
        '<sendMesExtResponse xmlns="http://tempuri.org/">'
        f"<sendMesExtResult>{result}</sendMesExtResult></sendMesExtResponse>",
    )


def result_response(protocol: str, result: str = BATCH_NO, *headers: str) -> bytes:
    """Return the response with ``result``. It keeps the connection open."""
    return http_response(result_xml(protocol, result), "200 OK", XML, *headers)


def soap_envelope(protocol: str, content: str) -> str:
    """Return a SOAP envelope in the version of the protocol."""
    version = (
        "http://www.w3.org/2003/05/soap-envelope"
        if protocol == "soap12"
        else "http://schemas.xmlsoap.org/soap/envelope/"
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{version}"><soap:Body>{content}</soap:Body></soap:Envelope>'
    )


def soap_fault(protocol: str, code: str, text: str = "It broke.") -> str:
    """Return a SOAP fault in the version of the protocol."""
    if protocol == "soap12":
        return soap_envelope(
            protocol,
            f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{text}</soap:Text></soap:Reason></soap:Fault>',
        )
    return soap_envelope(
        protocol,
        f"<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring>"
        "</soap:Fault>",
    )
