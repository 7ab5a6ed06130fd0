"""Texts of each kind, as people write them."""

from __future__ import annotations

FOUND = {
    "email": (
        "anna.smith+news@example.co.uk",
        "ÄNNA@müller-gmbh.de",
        "a@b.io",
        "john_doe%x@mail.sub.example.com",
    ),
    "phone": (
        "+49 170 1234567",
        "+1 (415) 555-2671",
        "+442079460958",
        "0049 171 2345678",
        "0171 2345678",
        "(0171) 2345678",
        "089/12345678",
        "06 12 34 56 78",
        "415-555-2671",
        "(415) 555-2671",
    ),
    "iban": (
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "gb82 west 1234 5698 7654 32",
        "NO93 8601 1117 947",
    ),
    "card": (
        "4111 1111 1111 1111",
        "4111111111111111",
        "3782 822463 10005",
        "5500-0000-0000-0004",
        "6011000990139424",
    ),
    "ip": ("192.168.20.4", "203.0.113.77", "2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a"),
    "mac": ("00:1B:44:11:3a:b7", "00-1b-44-11-3a-b7"),
    "national-id": (
        "86095742719",
        "111.444.777-35",
        "123-45-6789",
        "RSSMRA85T10A562S",
        "12345678Z",
        "X1234567L",
        "131052-308T",
        "756.9217.0769.85",
        "11010519491231002X",
        "811218-9876",
        "85.07.30-033.28",
        "2 55 08 14 168 025 38",
        "44051401359",
    ),
    "secret": (
        "sk-proj-Ab3dEf6hIj9kLmNoPqRsTuVwXyZ012345",
        "sk-ant-api03-Ab3dEf6hIj9kLmNoPqRsTuVwXyZ012345",
        "rw-alice-" + "A1b2" * 10 + "A1b",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "aB3" * 12,
        "xoxb-123456789012-abcdefABCDEF",
        "AIza" + "Sy0-_" * 7,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "hf_" + "aBcDe" * 7,
        "AGE-SECRET-KEY-1" + "QPZRY9X8GF" * 5 + "QPZRY9X8",
    ),
}
CASES = [(kind, text) for kind, texts in FOUND.items() for text in texts]
