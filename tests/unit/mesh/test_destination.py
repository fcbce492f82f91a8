"""Where a stranger may have the mesh call."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.destination import Address, DestinationRefused, Destinations, is_public

PUBLIC = Destinations()


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "header"),
    [
        ("https://example.com", "example.com", 443, "/", b"example.com"),
        ("https://EXAMPLE.com./a/b?c=d&e", "example.com", 443, "/a/b?c=d&e", b"example.com"),
        ("https://example.com:8443/a%20b", "example.com", 8443, "/a%20b", b"example.com:8443"),
        ("https://xn--mnchen-3ya.example/?x", "xn--mnchen-3ya.example", 443, "/?x", b"xn--mnchen-3ya.example"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/", b"8.8.8.8"),
        ("https://[2606:4700::1111]:4433/", "2606:4700::1111", 4433, "/", b"[2606:4700::1111]:4433"),
        ("https://3com.example/", "3com.example", 443, "/", b"3com.example"),
    ],
)
def test_a_url_is_taken_apart(url: str, host: str, port: int, target: str, header: bytes):
    to = PUBLIC.parse(url)
    assert (to.secure, to.host, to.port, to.target, to.host_header) == (True, host, port, target, header)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.com/",
        "https:///path",
        "https:example.com",
        "//example.com",
        "javascript:alert(1)",
        "https://exam\tple.com/",
        "https://example.com/\r\nX-Evil: 1",
        "https://example.com\\@10.0.0.1/",
        "https://example.com/\u00e4",
        "https://m\u00fcnchen.example/",
        "https://user@example.com/",
        "https://:@example.com/",
        "https://example.com/#f",
        "https://example.com:0/",
        "https://example.com:25/",
        "https://example.com:65536/",
        "https://example.com:x/",
        "https://-.example/",
        "https://a..b/",
        "https://localhost/",
        "https://a.localhost:8443/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://0x7f.0.0.1/",
        "https://2130706433/",
        "https://1.2.3.4.5/",
        "https://example.0x10/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[::127.0.0.1]/",
        "https://" + "a" * 64 + ".example/",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_a_url_that_may_not_be_called_is_refused(url: str):
    with pytest.raises(DestinationRefused):
        PUBLIC.parse(url)


REFUSED = (
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200", "::",
        "::1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::808:808", "64:ff9b:1::1", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:a00:1::", "100::1",
        "3fff::1", "::8.8.8.8",
)  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_plainly_public_is_not_called(address: str):
    assert not is_public(ip_address(address))


@given(st.ip_addresses())
def test_whatever_python_knows_to_be_private_is_not_called(address: Address):
    if is_public(address):
        assert address.is_global
        assert not any((address.is_multicast, address.is_private, address.is_loopback, address.is_link_local))


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_the_public_internet_is_called(address: str):
    assert is_public(ip_address(address))


def test_the_operator_may_allow_http_and_networks_of_the_house():
    inside = Destinations(allow_http=True, allowed_networks=("10.20.0.0/16", "fd12::/48"))
    assert inside.parse("http://10.20.1.2:8080/").host_header == b"10.20.1.2:8080"
    assert inside.parse("http://[fd12::5]/").port == 80
    with pytest.raises(DestinationRefused):
        inside.parse("http://10.21.1.2:8080/")
    with pytest.raises(ValueError, match="network"):
        Destinations(allowed_networks=("10.20.0.1/16x",))
