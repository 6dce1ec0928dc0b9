"""Whole numbers in English words and in Chinese numerals."""

from functools import cache

from paribus.parts.task import Example

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = {10**12: "trillion", 10**9: "billion", 10**6: "million", 1000: "thousand", 100: "hundred"}

# Always 二, never 两: written numerals allow it everywhere, and where 两 may stand is a matter of taste.
DIGITS = "零一二三四五六七八九"
UNITS = {10**8: "亿", 10**4: "万", 1000: "千", 100: "百", 10: "十"}

MORE_DIGITS = 3  # that the longer numbers may have


def english_number(number: int) -> tuple[str, ...]:
    """The words of a number below 10**15, with the British `and`."""
    return _english_group(number) if number < 1000 else _english(number)


def _english(number: int) -> tuple[str, ...]:
    if number < 20:
        return (ONES[number],)
    if number < 100:
        return (TENS[number // 10 - 2], *((ONES[number % 10],) if number % 10 else ()))
    size = next(size for size in SCALES if size <= number)
    many, rest = divmod(number, size)
    if not rest:
        return (*english_number(many), SCALES[size])
    return (*english_number(many), SCALES[size], *(("and",) if rest < 100 else ()), *english_number(rest))


_english_group = cache(_english)  # the thousand pieces that all numbers are made of


def chinese_number(number: int) -> str:
    """The numeral of a number below 10**16; 零 stands for skipped places, and 一 is left out before a leading 十."""
    numeral = _numeral(number)
    return numeral[1:] if numeral.startswith("一十") else numeral


def _numeral(number: int) -> str:
    return _group(number) if number < 10_000 else _spelled(number)


def _spelled(number: int) -> str:
    if number < 10:
        return DIGITS[number]
    size = next(size for size in UNITS if size <= number)
    rest = number % size
    skipped = "零" if rest < size // 10 else ""
    return _numeral(number // size) + UNITS[size] + (skipped + _numeral(rest) if rest else "")


_group = cache(_spelled)  # the ten thousand pieces that all numerals are made of


def number_example(number: int) -> Example:
    return Example(english_number(number), tuple(chinese_number(number)))
