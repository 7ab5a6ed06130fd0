"""Whether a number has the check digits that its kind has."""

from __future__ import annotations


def digits_of(text: str) -> list[int]:
    return [int(one) for one in text if "0" <= one <= "9"]


def luhn(digits: list[int]) -> bool:
    doubled = (one * 2 - 9 * (one > 4) for one in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(number: str) -> bool:
    """Take letters and digits in upper case, without spaces."""
    return int("".join(str(int(one, 36)) for one in number[4:] + number[:4])) % 97 == 1


def weighted(text: str, weights: str, modulus: int) -> int:
    return sum(one * int(weight) for one, weight in zip(digits_of(text), weights.split(), strict=False)) % modulus


def steuer_id(text: str) -> bool:
    digits = digits_of(text)
    counts = sorted((digits[:10].count(one) for one in set(digits[:10])), reverse=True)
    product = 10
    for one in digits[:10]:
        product = ((product + one) % 10 or 10) * 2 % 11
    return counts[0] in (2, 3) and counts[1:2] == [1] and (11 - product) % 10 == digits[10]


def pesel(text: str) -> bool:
    digits = digits_of(text)
    month, day = (digits[2] * 10 + digits[3]) % 20, digits[4] * 10 + digits[5]
    return 1 <= month <= 12 and 1 <= day <= 31 and weighted(text, "1 3 7 9 1 3 7 9 1 3 1", 10) == 0


def cpf(text: str) -> bool:
    digits = digits_of(text)
    sums = (sum(one * (size - place) for place, one in enumerate(digits[: size - 1])) for size in (10, 11))
    one, other = (total * 10 % 11 % 10 for total in sums)
    return len(set(digits)) > 1 and [one, other] == digits[9:]


def eleven_digits(text: str) -> bool:
    return steuer_id(text) or cpf(text) or pesel(text)


def nir(text: str) -> bool:
    digits = "".join(map(str, digits_of(text)))
    return len(digits) == 15 and 97 - int(digits[:13]) % 97 == int(digits[13:])


def fiscal_code(text: str) -> bool:
    odd = "BAKPLCQDREVOSFTGUHMINJWZYX"
    value = {one: number for number, one in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {
        str(number): number for number in range(10)
    }
    total = sum(odd.index("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value[one]]) for one in text[:15:2])
    return (total + sum(value[one] for one in text[1:15:2])) % 26 == value[text[15]]


def chinese(text: str) -> bool:
    total = sum(int(one) * (2**place % 11) for one, place in zip(text[:17], range(17, 0, -1), strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def swiss(text: str) -> bool:
    digits = digits_of(text)
    return len(digits) == 13 and weighted(text, "1 3 1 3 1 3 1 3 1 3 1 3 1", 10) == 0


def belgian(text: str) -> bool:
    digits = "".join(map(str, digits_of(text)))
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def spanish(text: str) -> bool:
    number = text.replace("-", "").upper()
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == number[-1]


def finnish(text: str) -> bool:
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] == text[10]
