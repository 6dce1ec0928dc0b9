"""Numbers as a reader sees them: rounded once, here, with a true minus sign; a missing one is a dash."""

from collections.abc import Iterable
from math import floor, isfinite, log10
from statistics import median

from paribus.errors import plural as plural

MISSING = "—"
MINUS = "−"


def decimals(errors: Iterable[float], *, most: int = 6) -> int:
    """Decimals that show two significant digits of a typical standard error, so that a column lines up."""
    found = [error for error in errors if isfinite(error) and error > 0]
    return max(0, min(most, 1 - floor(log10(median(found))))) if found else 4


def fixed(value: float | None, places: int) -> str:
    """`0.9512`"""
    if value is None or not isfinite(value):
        return MISSING
    text = f"{value:.{places}f}"
    return _minus(text if float(text) else text.lstrip("-"))


def signed(value: float | None, places: int) -> str:
    """`+0.041`; what rounds to nothing has no sign."""
    text = fixed(value, places)
    return text if value is None or value < 0 or text == MISSING or not float(text) else f"+{text}"


def spread(mean: float, sd: float, places: int) -> str:
    """`0.951 ± 0.010`, without the second part where there is one value."""
    if not isfinite(mean):
        return MISSING
    return f"{fixed(mean, places)} ± {fixed(sd, places)}" if isfinite(sd) else fixed(mean, places)


def interval(low: float, high: float, places: int) -> str:
    """`[−0.004, 0.011]`"""
    return f"[{fixed(low, places)}, {fixed(high, places)}]" if isfinite(low) and isfinite(high) else ""


def probability(p: float | None) -> str:
    """`.012` or `< .001`"""
    if p is None or not isfinite(p):
        return MISSING
    if p < 0.001:
        return "< .001"
    return "1" if p >= 0.9995 else f"{p:.3f}".removeprefix("0")


def equation(p: float) -> str:
    """`p = .012` or `p < .001`"""
    text = probability(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def general(value: float | None, digits: int = 3) -> str:
    """A number of unknown size in few digits: `0.0625`, `410`, `1.2e−05`."""
    if value is None or not isfinite(value):
        return MISSING
    return _minus(f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}")


def short(count: float | None) -> str:
    """`41.2k`, `10.2M`"""
    if count is None or not isfinite(count):
        return MISSING
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= limit:
            return f"{count / limit:.3g}{letter}"
    return f"{count:.3g}"


def percent(share: float | None, places: int = 1) -> str:
    """A change: `+3.1 %`"""
    text = signed(None if share is None else 100 * share, places)
    return text if text == MISSING else f"{text} %"


def level(alpha: float) -> str:
    """`95 %` for alpha .05"""
    return f"{100 * (1 - alpha):.4g} %"


def listed(items: Iterable[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`"""
    *first, last = list(items) or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
