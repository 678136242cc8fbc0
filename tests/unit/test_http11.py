"""`Exchange`: the same bytes end in the same way, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.exchange_lane import After, split
from tests.support.exchange_runs import GET, bytewise, run
from tests.support.mutated_responses import ENDED_BY_CLOSE, WHOLE, mutated_responses, places
from tests.support.outcome_table import TABLE, chunked, head_of, in_chunks, raw, sized
from tests.support.wire_samples import XML
from yunxin_soap import InvalidRequest, Outcome
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.transport import failures
from yunxin_soap.transport.base import Request
from yunxin_soap.transport.http11 import Exchange, RequestEncoder
from yunxin_soap.transport.limits import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES, MAX_WIRE_BYTES

CONNECT = b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"


# --- pieces


@pytest.mark.parametrize("name", [*WHOLE, *ENDED_BY_CLOSE])
def test_response_split_anywhere_ends_as_the_whole(name: str) -> None:
    """Every split position gives what the whole response gives, on each protocol."""
    for protocol in PROTOCOLS:
        content = {**WHOLE, **ENDED_BY_CLOSE}[name](protocol)
        whole = run([content])
        assert whole.response is not None
        assert whole.response[2] in (
            raw(protocol),
            raw(protocol).replace(b"2114355899380234221", b"-7"),
        )
        for place in range(1, len(content)):
            assert run([content[:place], content[place:]]) == whole
        assert run(bytewise(content)) == whole


@pytest.mark.parametrize("name", WHOLE)
def test_response_ends_with_its_last_byte(name: str) -> None:
    """An exchange ends with the last byte of its response, neither earlier nor later."""
    content = WHOLE[name]("soap")
    exchange = Exchange(GET)
    assert not any(exchange.receive(piece) for piece in bytewise(content[:-1]))
    assert (exchange.response, exchange.broken) == (None, None)
    assert exchange.receive(content[-1:])
    assert exchange.response is not None


@pytest.mark.parametrize("name", WHOLE)
def test_response_cut_anywhere_is_broken(name: str) -> None:
    """A response that is cut at any place is broken, and its connection not used again."""
    content = WHOLE[name]("soap")
    for place in range(len(content)):
        end = run([content[:place]])
        assert end.response is None
        assert end.broken in (failures.CLOSED_EARLY, failures.CUT_SHORT)
        assert not end.reusable


@pytest.mark.parametrize("name", ENDED_BY_CLOSE)
def test_response_until_the_close_does_not_end_by_itself(name: str) -> None:
    """A response that ends with the connection has no earlier end, and is the last one."""
    content = ENDED_BY_CLOSE[name]("soap")
    exchange = Exchange(GET)
    assert not any(exchange.receive(piece) for piece in bytewise(content))
    assert exchange.receive(b"")
    assert exchange.response is not None
    assert not exchange.reusable


@given(st.data())
def test_row_of_the_table_in_pieces_ends_as_the_whole(data: st.DataObject) -> None:
    """The rows of the outcome table end in the same way in any pieces."""
    name = data.draw(st.sampled_from(sorted(TABLE)))
    row = TABLE[name]
    content = row.build(data.draw(st.sampled_from(row.protocols)))
    closed = row.after is After.CLOSE
    whole = run([content], closed=closed)
    assert run(split(content, data.draw(places(content))), closed=closed) == whole
    if len(content) < 10_000:
        assert run(bytewise(content), closed=closed) == whole


@pytest.mark.parametrize("name", TABLE)
def test_row_of_the_table_ends_as_it_says(name: str) -> None:
    """The rows of the outcome table end here as over a socket."""
    row = TABLE[name]
    expected = row.expected
    # The clients find the broken responses, the decoder all others that say nothing certain.
    is_broken = "may have reached the gateway" in expected.words
    only_the_shell_sees = "no complete response" in expected.words or (
        failures.CONNECTION_BROKE in expected.words
    )
    for protocol in row.protocols:
        end = run([row.build(protocol)], closed=row.after is After.CLOSE)
        if only_the_shell_sees:
            assert (end.response, end.broken) == (None, None)
        elif is_broken:
            assert f"but {end.broken}." in expected.words
            assert end.status == expected.http_status
        else:
            assert end.response is not None
            assert end.response[0] == (expected.http_status or 200)
        if expected.outcome is Outcome.ACCEPTED:
            assert end.response is not None
            assert end.response[1] in (XML, "")
            assert end.response[2].rstrip() == raw(protocol)
        if row.after is After.READ_ON and not row.later(protocol):
            assert end.reusable is expected.reused


def test_length_with_thousands_of_zeros_is_read() -> None:
    """Python refuses to read a number of more than 4,300 digits; the zeros do not count."""
    end = run([b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\nab"])
    assert end.response is not None
    assert (end.response[2], end.reusable) == (b"ab", True)


@pytest.mark.parametrize("line", [b"", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n"])
def test_interim_response_in_a_piece_of_its_own_is_passed_over(line: bytes) -> None:
    """An interim response has no body, whatever it says, and is never the final one."""
    interim = b"HTTP/1.1 103 Early Hints\r\n" + line + b"\r\n"
    end = run([interim, interim, sized(raw("soap"))])
    assert end.response is not None
    assert (end.status, end.response[2], end.reusable) == (200, raw("soap"), True)


def test_first_of_several_types_counts() -> None:
    """Of several Content-Type headers the first counts, without the blanks around it."""
    content = sized(raw("soap"), "Content-Type: text/html")
    end = run([content.replace(b"Type: text/xml; charset=utf-8", b"Type: \ttext/xml \t")])
    assert end.response is not None
    assert end.response[1] == "text/xml"


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES - 1, MAX_HEAD_BYTES, MAX_HEAD_BYTES + 1])
@pytest.mark.parametrize("piece", [1000, 1024, 65536])
def test_head_in_pieces_has_the_same_limit(size: int, piece: int) -> None:
    """The limit of a head does not depend on the pieces in which it comes."""
    content = head_of(size, 80)("soap")
    end = run([content[start : start + piece] for start in range(0, len(content), piece)])
    assert end.broken == (failures.HEAD_TOO_LARGE if size > MAX_HEAD_BYTES else None)


def test_response_of_the_largest_size_shows_its_surplus() -> None:
    """A response of as many bytes as may be received is whole, and a byte more is surplus."""
    rest = chunked(b"", end=in_chunks(raw("soap")) + b"0\r\n\r\n")
    start, _, end = rest.partition(b"64\r\n")
    content = start + b"64;a=" + b"x" * (MAX_WIRE_BYTES - len(rest) - 3) + b"\r\n" + end
    assert len(content) == MAX_WIRE_BYTES
    whole = run([content])
    assert whole.response is not None
    assert whole.response[2] == raw("soap")
    assert whole.reusable
    assert run([content + b"x"]) == whole._replace(reusable=False)
    larger = content.replace(b"64;a=", b"64;a=x", 1)
    assert run([larger]).broken == failures.TOO_LARGE


# --- any bytes


@pytest.mark.parametrize("line", [b"nothing", b"Content-Length: 6", b"X: \0"])
def test_mistake_beside_a_repeated_length_is_found_in_any_pieces(line: bytes) -> None:
    """A mistake before or after a repeated length breaks a head that is cut, in any pieces."""
    length = b"Content-Length: 5\r\n"
    for lines in (line + b"\r\n" + length * 2, length * 2 + line + b"\r\n"):
        content = b"HTTP/1.1 200 OK\r\n" + lines + b"X: y"
        assert run([content]).broken == failures.NOT_HTTP
        assert run(bytewise(content)).broken == failures.NOT_HTTP


@given(mutated_responses(), st.data())
def test_mutated_response_in_pieces_ends_as_the_whole(content: bytes, data: st.DataObject) -> None:
    """A response with any changes raises nothing, and ends in the same way in any pieces."""
    whole = run([content])
    assert run(split(content, data.draw(places(content)))) == whole
    assert run(bytewise(content)) == whole


def test_empty_length_before_another_is_not_http_in_any_pieces() -> None:
    """Of two lengths, the first may be empty: the end is the same once a byte follows it."""
    content = b"HTTP/1.1 200 OK\r\nContent-Length:\r\nContent-Length: 9"
    for place in range(content.rfind(b"C") + 1, len(content)):
        assert run([content[:place], content[place:]]).broken == failures.NOT_HTTP
    assert run([content]).broken == failures.NOT_HTTP


@given(mutated_responses(), mutated_responses(), st.data())
def test_response_after_others_ends_as_before_them(
    first: bytes, second: bytes, data: st.DataObject
) -> None:
    """What an exchange remembers of other responses changes no outcome.

    The later responses have the head of the first, and another body, less, or more.
    """
    head, end, body = first.partition(b"\r\n\r\n")
    other = bytes(reversed(body))
    responses = [first, second, first, head + end + other, first[:-1], first + b"H", head + end]
    for content in data.draw(st.permutations(responses)):
        assert run([content]) == run(bytewise(content))


def test_connect_after_the_same_head_ends_with_its_head() -> None:
    """The response to a CONNECT has no body, although the same bytes before had one."""
    content = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
    assert run([content]).response == (200, "", b"ab")
    exchange = Exchange(GET, is_connect=True)
    assert exchange.receive(content)
    assert exchange.response is not None
    assert (exchange.response.body, exchange.surplus) == (b"", True)


@given(mutated_responses())
def test_mutated_response_is_kept_only_after_a_200_with_a_body(content: bytes) -> None:
    """Only a whole 200 of HTTP/1.1 with a body keeps its connection; no body is too large."""
    end = run([content])
    if end.response is not None:
        assert len(end.response[2]) <= MAX_RESPONSE_BYTES
        assert end.status == end.response[0]
        assert 200 <= end.response[0] <= 999
    if end.reusable:
        assert end.response is not None
        assert end.response[0] == 200
        assert not run([content + b"x"]).reusable


@given(st.binary(max_size=200))
@example(b"HTTP/1.1 200 OK\r\n\r\n")
def test_any_bytes_are_a_response_or_broken(content: bytes) -> None:
    """Any bytes end in a response or a reason, and in the same one in any pieces."""
    assert run([content]) == run(bytewise(content))


# --- CONNECT


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_response_to_connect_ends_with_its_head(head: bytes) -> None:
    """The response to a CONNECT has no body, and what follows it is surplus."""
    status = 407 if b"407" in head else 200
    for pieces in ([head], bytewise(head)):
        exchange = Exchange(CONNECT, is_connect=True)
        assert [exchange.receive(piece) for piece in pieces][-1]
        assert exchange.response is not None
        assert (exchange.status, exchange.response.body) == (status, b"")
        assert not exchange.surplus
    exchange = Exchange(CONNECT, is_connect=True)
    assert exchange.receive(head + b"\x16")
    assert (exchange.status, exchange.surplus) == (status, True)


# --- requests


def encoder(origin: str = "") -> RequestEncoder:
    return RequestEncoder("example.com:8080", origin, {"User-Agent": "x"})


COMMON = b"HTTP/1.1\r\nHost: example.com:8080\r\nAccept-Encoding: identity\r\nUser-Agent: x\r\n"


def test_request_is_written_as_http_wants_it() -> None:
    """A request has one request line, the headers, and a length if it has a body."""
    assert encoder().encode(Request("GET", "/a", {"X": "y"}, query="b=c&d=%20")) == (
        b"GET /a?b=c&d=%20 " + COMMON + b"X: y\r\n\r\n"
    )
    assert encoder().encode(Request("POST", "/a", {}, body=b"<b/>")) == (
        b"POST /a " + COMMON + b"Content-Length: 4\r\n\r\n<b/>"
    )
    assert encoder().encode(Request("POST", "/a", {}, body=b"")) == (
        b"POST /a " + COMMON + b"Content-Length: 0\r\n\r\n"
    )
    assert encoder("http://example.com:8080").encode(Request("GET", "/a", {}, query="b")) == (
        b"GET http://example.com:8080/a?b " + COMMON + b"\r\n"
    )


def test_requests_of_one_encoder_do_not_mix() -> None:
    """What one request was made of is in no other one."""
    shared = {"X": "1"}
    requests = [
        Request("GET", "/a", shared, query="first"),
        Request("GET", "/a", shared, query="second"),
        Request("GET", "/a", shared),
        Request("POST", "/a", shared, body=b"third"),
        Request("POST", "/b", shared, body=b"fourth"),
        Request("POST", "/b", {"X": "2"}, body=b"fifth"),
        Request("GET", "/a", {"Y": "1"}),
    ]
    one = encoder()
    for _ in range(2):
        assert [one.encode(each) for each in requests] == [
            encoder().encode(each) for each in requests
        ]


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\n", "a\0", "值", "a\x7f", "a\t"])
def test_request_with_a_character_that_http_cannot_carry_is_invalid(text: str) -> None:
    """A path or a header that would end its line, or is not ASCII, is invalid."""
    for request in (
        Request("GET", f"/{text}", {}),
        Request("GET", "/", {"X": text}),
        Request("GET", "/", {text: "x"}),
    ):
        with pytest.raises(InvalidRequest, match="HTTP cannot carry"):
            encoder().encode(request)


def test_request_with_a_space_in_its_path_is_invalid() -> None:
    """A space would end the path."""
    with pytest.raises(InvalidRequest, match="space"):
        encoder().encode(Request("GET", "/a b", {}))
