"""Host names, base paths and logins, without a server."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.access import Access, Login


@pytest.mark.parametrize(
    ("allowed", "name", "expected"),
    [
        ("sms.example.com", "sms.example.com", True),
        ("SMS.Example.com", "sms.example.com", True),
        ("sms.example.com", "a.sms.example.com", False),
        (".example.com", "example.com", True),
        (".example.com", "a.b.example.com", True),
        (".example.com", "evilexample.com", False),
        (".example.com", "example.com.evil.org", False),
    ],
)
def test_access_allowed_host_matches_by_whole_labels(
    allowed: str, name: str, expected: bool
) -> None:
    """A leading dot allows the name behind it and all names below; else only the name itself."""
    assert Access(allowed_hosts=("other.org", allowed)).allows_host(name) == expected


@pytest.mark.parametrize(
    "host", ["", ".", "*.example.com", "http://a.b", "a.b:80", "a.b/c", "a..b", "a b.c", "例.com"]
)
def test_access_invalid_host_is_named(host: str) -> None:
    """What is no host name is quoted."""
    with pytest.raises(ConfigurationError, match="without a scheme, a port") as caught:
        Access(allowed_hosts=(host,))
    assert repr(host) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "kept"), [("", ""), ("/", ""), ("/sms", "/sms"), ("/a-1/b.c_~/", "/a-1/b.c_~")]
)
def test_access_base_path_is_normalised(path: str, kept: str) -> None:
    """A slash at the end makes no difference."""
    assert Access(base_path=path).base_path == kept


@pytest.mark.parametrize(
    "path",
    ["sms", "/a b", "/../x", "/a/.", "//a", "/a?b", "/短信", "/%41", "/api", "/api/v1", "/health"],
)
def test_access_invalid_base_path_is_named(path: str) -> None:
    """A path that is none, or is one of the sandbox's own, is quoted."""
    with pytest.raises(ConfigurationError, match="must be a path such as /sms") as caught:
        Access(base_path=path)
    assert repr(path) in str(caught.value)


@given(st.text(min_size=1).filter(lambda user: ":" not in user), st.text(min_size=1), st.data())
def test_login_accepts_only_itself(user: str, password: str, data: st.DataObject) -> None:
    """The right pair is accepted in any case of the scheme; another pair or no pair is not."""
    login = Login(user, password)

    def header(user: str, password: str, scheme: str = "Basic") -> str:
        return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    scheme = data.draw(st.sampled_from(["Basic", "basic", "BASIC"]))
    assert login.accepts(header(user, password, scheme))
    assert not login.accepts(header(user, password, "Bearer"))
    other = data.draw(st.tuples(st.text(), st.text()))
    assert login.accepts(header(*other)) == (":".join(other) == f"{user}:{password}")
    assert not login.accepts(data.draw(st.none() | st.text()))
    assert password not in repr(login) or password in repr(Login(user, "?" * 50))


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("a:b", "x"), ("a", "")])
def test_login_invalid_is_a_configuration_error(user: str, password: str) -> None:
    """A login needs a user name without a colon, and a password."""
    with pytest.raises(ConfigurationError, match="The login needs"):
        Login(user, password)
