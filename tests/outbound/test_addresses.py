"""Spellings of places that a server must not be talked into calling."""

import ipaddress

import pytest

from geumgo.outbound import Allowed, Failed, Outbound, Refused
from geumgo.outbound.addresses import check, read_url

NOTHING = Allowed()

FORBIDDEN = [
    "127.0.0.1", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255",
    "192.168.0.1", "192.168.255.255", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "192.88.99.1", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1",
    "ff02::1",
]  # fmt: skip

UNREADABLE = [
    "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "unix:///var/run/docker.sock", "//example.com/",
    "example.com", "", "https://", "https:///path", "https:example.com", "https:/example.com", "https://user@example.com/",
    "https://user:pw@example.com/", "https://example.com@127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://2130706433/",
    "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.01/",
    "https://127.0.0.0x1/", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://a.1/", "https://example.com:0/", "https://example.com:99999/",
    "https://example.com:x/", "https://example.com\\@127.0.0.1/", "https://exa mple.com/", "https://example.com/\r\nX: y",
    "https://example.com/\x00", "https://ex\u00e4mple.com/", "https://\u2460\u2461\u2466.0.0.1/", "https://127\u3002 0.0.1/",
    "https://%31%32%37.0.0.1/", "https://[::1", "https://[::1%25lo]/", "https://[fe80::1%eth0]/", "https://[127.0.0.1]/", "https://[::]x/",
    "https://-example.com/", "https://exa..mple.com/", "https://.example.com/", "https://example.com/#fragment", "https://e*.com/",
    "https://" + "a" * 64 + ".com/", "https://example.com/" + "a" * 2_048,
]  # fmt: skip


def nobody(host: str, port: int) -> list[str]:
    raise AssertionError("the resolver was asked")


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public_is_refused_however_it_is_reached(address):
    with pytest.raises(Refused):
        check("example.com", ipaddress.ip_address(address), NOTHING)
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(Refused):
        Outbound(NOTHING, resolve=nobody).send("GET", f"https://{literal}/", {})
    with pytest.raises(Refused):
        Outbound(NOTHING, resolve=lambda host, port: [address]).send("GET", "https://example.com/", {})
    with pytest.raises(Refused):  # one forbidden address among good ones spoils the name
        Outbound(NOTHING, resolve=lambda host, port: ["1.1.1.1", address]).send("GET", "https://example.com/", {})


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
)
def test_a_public_address_is_allowed(address):
    check("example.com", ipaddress.ip_address(address), NOTHING)


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_url_that_could_be_read_in_two_ways_is_refused(url):
    with pytest.raises(Refused):
        Outbound(NOTHING, resolve=nobody).send("GET", url, {})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "api.localhost"])
def test_localhost_is_refused_even_with_a_public_answer(host):
    with pytest.raises(Refused):
        Outbound(NOTHING, resolve=lambda host, port: ["1.1.1.1"]).send("GET", f"https://{host}/", {})


def test_the_table_is_as_long_as_was_promised():
    assert len(FORBIDDEN) + len(UNREADABLE) >= 60


def test_an_ordinary_url_is_read():
    target = read_url("HTTPS://Hooks.Example.com.:8443/a/b?c=d", NOTHING)
    assert (target.secure, target.host, target.port, target.path) == (True, "hooks.example.com", 8443, "/a/b?c=d")
    assert target.authority == "hooks.example.com:8443"
    assert read_url("https://[2606:4700::1]", NOTHING).authority == "[2606:4700::1]"


def test_what_the_operator_listed_is_allowed_and_nothing_beside_it():
    allowed = Allowed.of(["hooks.internal", "10.1.0.0/16", "http://plain.internal", "fd00::1"])
    check("hooks.internal", ipaddress.ip_address("10.9.9.9"), allowed)
    check("any.example", ipaddress.ip_address("10.1.2.3"), allowed)
    check("any.example", ipaddress.ip_address("::ffff:10.1.2.3"), allowed)
    check("any.example", ipaddress.ip_address("fd00::1"), allowed)
    with pytest.raises(Refused):
        check("x.hooks.internal", ipaddress.ip_address("10.9.9.9"), allowed)
    with pytest.raises(Refused):
        check("any.example", ipaddress.ip_address("10.2.0.1"), allowed)
    assert not read_url("http://plain.internal/", allowed).secure
    with pytest.raises(Refused):
        read_url("http://hooks.internal/", allowed)


@pytest.mark.parametrize("entry", ["*", "a b", "10.0.0.1/8", "ftp://x", "127.1", ""])
def test_an_entry_that_is_no_host_and_no_network_is_refused(entry):
    with pytest.raises(ValueError, match="is no host name"):
        Allowed.of([entry])


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_the_headers_that_frame_a_request_are_not_the_callers(name):
    with pytest.raises(Refused):
        Outbound(NOTHING, resolve=nobody).send("GET", "https://example.com/", {name: "x"})


def test_a_name_without_an_address_fails():
    with pytest.raises(Failed):
        Outbound(NOTHING, resolve=lambda host, port: []).send("GET", "https://example.com/", {})
