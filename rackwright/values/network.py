"""Addresses, networks and DNS names."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, PlainValidator

import rackwright._fast_imports  # noqa: F401
from rackwright.values.text import JSON_TEXT, Shape, plain

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def parse_network(value: object) -> Network:
    """Given CIDR text or an address, return the network. Raise ValueError, if possible with the intended network."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?", value):
        raise ValueError("should be a network like 10.20.0.0/24 or fd00:20::/64")
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("should be a network like 10.20.0.0/24 or fd00:20::/64") from None
    address = ip_address(value.partition("/")[0])
    if address != meant.network_address:
        raise ValueError(f"{value} is a host address, not a network; write {meant}, or {address} for that host only")
    return meant


def parse_address(value: object) -> Address:
    """Return the IPv4 or IPv6 address of one machine. Raise ValueError for other values."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f.:]{2,45}", value):
        raise ValueError("should be an IPv4 or IPv6 address")
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError("should be an IPv4 or IPv6 address") from None
    if address.is_unspecified or address.is_multicast or value == "255.255.255.255":
        raise ValueError(f"{address} can't be a machine's address; should be the address of one machine")
    return address


def _dns_name(text: str) -> str:
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    last = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
    return Shape(
        rf"(?=.{{1,253}}$)({label}\.)*{last}", "should be a DNS name in lower case, like llm.acme.internal"
    ).check(text)


def _machine(text: str) -> str:
    if re.fullmatch(r"[0-9.]+|.*:.*", text, re.DOTALL):
        return str(parse_address(text))
    return _dns_name(text)


def host_address(text: str) -> str:
    """Return an IP address, a DNS name or "@local" in its canonical form. Raise ValueError for other values."""
    if text.startswith("@") and text != "@local":
        raise ValueError("should be @local, an IP address or a DNS name")
    return text if text == "@local" else _machine(text)


DnsName = Annotated[str, AfterValidator(_dns_name)]
Machine = Annotated[str, AfterValidator(_machine)]
"""An IPv4 or IPv6 address, or a DNS name."""
HostAddress = Annotated[str, AfterValidator(host_address)]
"""A machine, or "@local" for the one that rackwright runs on."""
NetworkField = Annotated[Network, PlainValidator(parse_network), PlainSerializer(plain, return_type=str), JSON_TEXT]
AddressField = Annotated[Address, PlainValidator(parse_address), PlainSerializer(plain, return_type=str), JSON_TEXT]
