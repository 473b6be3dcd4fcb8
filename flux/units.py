"""Durations, rates and sizes as people write them: "1m30s", "20/s", "64KiB".

Each is a number that remembers how to print itself: `Duration` an int of nanoseconds, `Rate` a
float per second, `Size` an int of bytes. Arithmetic on them gives plain numbers. `parse` reads
exact rationals, so that nothing is rounded twice; `str` prints one canonical text, which `parse`
reads back to an equal value.

Only one spelling of each unit is accepted. Other spellings with one clear meaning ("5 sec",
"20 per second", "64kb") are read leniently, but only to be offered in the hint of the error.
"""

import difflib
import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final, NamedTuple, Self

INT64_MAX: Final = 2**63 - 1
"""The largest number of nanoseconds or bytes: what an int64 column can hold."""

LONGEST_TEXT: Final = 100
"""In characters. Longer text is a mistake, and reading it as a number could take long."""


class UnitError(ValueError):
    """A text is not the duration, rate or size that it should be; `hint` says how to write it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Duration(int):
    """A length of time in whole nanoseconds, 0 to 2^63 - 1 (292 years)."""

    __slots__ = ()

    def __new__(cls, nanoseconds: int = 0) -> Self:
        """Args: nanoseconds, an integer of any type. Raises UnitError if it is out of range."""
        return super().__new__(cls, _check_int64(operator.index(nanoseconds), _DURATION))

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """Read "30s", "1m30s", "1.5s", "250ms": units d, h, m, s, ms, us (µs), ns, descending.

        Raises:
            UnitError: the text is anything else; also for a number, which lacks its unit.
        """
        return cls(_read_whole(text, _DURATION))

    @classmethod
    def of_seconds(cls, seconds: float) -> Self:
        """The duration nearest to that many seconds, for literals in code."""
        if not math.isfinite(seconds):
            raise UnitError(f"a duration must be finite, got {seconds} seconds")
        return cls(round(Fraction(seconds) * 10**9))

    @property
    def seconds(self) -> float:
        """In seconds, correctly rounded."""
        return int(self) / 10**9

    def __str__(self) -> str:
        """Whole days, hours and minutes, then what is left in its largest unit: "1m30.5s"."""
        text, left = "", int(self)
        for unit in ("d", "h", "m"):
            count, left = divmod(left, _NANOSECONDS[unit])
            text += f"{count}{unit}" if count else ""
        if not left:
            return text or "0s"
        unit = next(unit for unit in ("s", "ms", "us", "ns") if left >= _NANOSECONDS[unit])
        count, fraction = divmod(left, _NANOSECONDS[unit])
        decimals = (
            f"{fraction:0{len(str(_NANOSECONDS[unit])) - 1}d}".rstrip("0") if fraction else ""
        )
        return f"{text}{count}.{decimals}{unit}" if decimals else f"{text}{count}{unit}"

    def __repr__(self) -> str:
        return f"Duration.parse({str(self)!r})"


class Rate(float):
    """How many per second: finite, 0 or more."""

    __slots__ = ()

    def __new__(cls, per_s: float = 0.0) -> Self:
        """Args: per_s, a number. Raises UnitError if it is negative or not finite."""
        value = per_s + 0.0  # also turns -0.0, which would print as "-0/s", into 0.0
        if not (0 <= value < math.inf):
            raise UnitError(f"a rate must be finite and 0 or greater, got {per_s} per second")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """Read "20/s", "1200/min" (or /m), "5/h", "3/d", "10k/s", "2M/s".

        Raises:
            UnitError: the text is anything else; also for a number, which lacks its unit.
        """
        exact = _read(text, _RATE)
        try:
            return cls(float(exact))
        except OverflowError:
            raise UnitError(f"a rate must be finite, got {_shown(text)}") from None

    def __str__(self) -> str:
        """The shortest number per second that reads back to the same float."""
        return f"{float(self)!r}".removesuffix(".0") + "/s"

    def __repr__(self) -> str:
        return f"Rate.parse({str(self)!r})"


class Size(int):
    """A number of bytes, 0 to 2^63 - 1."""

    __slots__ = ()

    def __new__(cls, size_bytes: int = 0) -> Self:
        """Args: size_bytes, an integer of any type. Raises UnitError if it is out of range."""
        return super().__new__(cls, _check_int64(operator.index(size_bytes), _SIZE))

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """Read "512B", "64KiB", "1.5MiB", "10kB": KiB is 1024 bytes, kB is 1000.

        Raises:
            UnitError: the text is anything else; also for a number, which lacks its unit.
        """
        return cls(_read_whole(text, _SIZE))

    def __str__(self) -> str:
        """The shortest whole number of one unit; of two equally short, the binary one."""
        whole = (
            f"{int(self) // size}{unit}"
            for unit, size in _BYTES.items()
            if int(self) % size == 0 and (self or unit == "B")
        )
        return min(whole, key=len)

    def __repr__(self) -> str:
        return f"Size.parse({str(self)!r})"


_NANOSECONDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "d": 86_400 * 10**9,
        "h": 3_600 * 10**9,
        "m": 60 * 10**9,
        "s": 10**9,
        "ms": 10**6,
        "us": 10**3,
        "ns": 1,
    }
)

_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "TiB": 2**40,
        "GiB": 2**30,
        "MiB": 2**20,
        "KiB": 2**10,
        "TB": 10**12,
        "GB": 10**9,
        "MB": 10**6,
        "kB": 10**3,
        "B": 1,
    }
)

_PERIOD_S: Final[Mapping[str, int]] = MappingProxyType(
    {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}
)
_COUNTS: Final[Mapping[str, int]] = MappingProxyType({"": 1, "k": 10**3, "M": 10**6})


def _spellings(words: str) -> dict[str, str]:
    """From "m min minute; s sec" to {"m": "m", "min": "m", "minute": "m", "s": "s", ...}."""
    groups = (group.split() for group in words.split(";"))
    return {word: group[0] for group in groups for word in group}


_DURATION_SPELLINGS: Final = _spellings(
    "d day days; h hr hrs hour hours; m min mins minute minutes; s sec secs second seconds;"
    "ms msec msecs milli millis millisecond milliseconds;"
    "us µs μs usec usecs micro micros microsecond microseconds;"
    "ns nsec nsecs nano nanos nanosecond nanoseconds"
)
_PERIOD_SPELLINGS: Final = _spellings(
    "s sec secs second seconds ps rps qps tps; min m mins minute minutes pm rpm;"
    "h hr hrs hour hours rph; d day days"
)
_SIZE_SPELLINGS: Final = _spellings(
    "B b byte bytes; kB kb kilobyte kilobytes; MB mb megabyte megabytes;"
    "GB gb gigabyte gigabytes; TB tb terabyte terabytes; KiB k kib kibibyte kibibytes;"
    "MiB m mib mebibyte mebibytes; GiB g gib gibibyte gibibytes; TiB t tib tebibyte tebibytes"
)

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_BARE: Final = re.compile(_NUMBER)
_DURATION_TEXT: Final = re.compile(rf"(?:{_NUMBER}(?:[dhm]|[mnuµμ]?s))+")
_DURATION_PART: Final = re.compile(rf"({_NUMBER})([a-zµμ]+)")
# `str` prints very large and very small rates with an exponent, as repr of a float does. Three
# digits are enough for every float; more would make the exact rational astronomically long.
_RATE_TEXT: Final = re.compile(rf"({_NUMBER}(?:e[+-]?[0-9]{{1,3}})?)([kM]?)/(s|min|m|h|d)")
_SIZE_TEXT: Final = re.compile(rf"({_NUMBER})((?:[KMGT]i|[kMGT])?B)")
_LOOSE_PART: Final = re.compile(rf"({_NUMBER})\s*([^\W\d_]*)")
_LOOSE_RATE: Final = re.compile(
    rf"({_NUMBER})\s*([kKM]?)\s*(?:(?:req(?:uest)?s?)?\s*(?:/|\bper\b|\ba\b)\s*)?([a-z]*)"
)


def _read_duration(text: str) -> Fraction | None:
    if not _DURATION_TEXT.fullmatch(text):
        return None
    parts = [
        (Fraction(number), _NANOSECONDS[re.sub("[µμ]", "u", unit)])
        for number, unit in _DURATION_PART.findall(text)
    ]
    if any(after >= before for (_, before), (_, after) in itertools.pairwise(parts)):
        raise UnitError(
            f"the units of a duration must go from large to small, each once, got {_shown(text)}"
        )
    return sum((number * size for number, size in parts), Fraction(0))


def _read_rate(text: str) -> Fraction | None:
    match = _RATE_TEXT.fullmatch(text)
    if match is None:
        return None
    number, count, period = match.groups()
    return Fraction(number) * _COUNTS[count] / _PERIOD_S[period]


def _read_size(text: str) -> Fraction | None:
    match = _SIZE_TEXT.fullmatch(text)
    return Fraction(match[1]) * _BYTES[match[2]] if match else None


def _meant_parts(text: str, bare_unit: str, spellings: Mapping[str, str]) -> str | None:
    parts = _LOOSE_PART.findall(text)
    between = re.sub(r"\band\b|[\s,]", "", _LOOSE_PART.sub("", text))
    units = [_meant_unit(word, spellings) if word else bare_unit for _, word in parts]
    if between or None in units:
        return None
    return "".join(f"{number}{unit}" for (number, _), unit in zip(parts, units))


def _meant_rate(text: str) -> str | None:
    match = _LOOSE_RATE.fullmatch(text)
    if match is None:
        return None
    number, count, word = match.groups()
    unit = _meant_unit(word, _PERIOD_SPELLINGS) if word else "s"
    return f"{number}{count.replace('K', 'k')}/{unit}" if unit else None


def _meant_unit(word: str, spellings: Mapping[str, str]) -> str | None:
    """The unit that word stands for: by its spelling, by its lower case, then by likeness."""
    known = spellings.get(word) or spellings.get(word.lower())
    if known or len(word) < 3:
        return known
    close = difflib.get_close_matches(word.lower(), spellings, n=1, cutoff=0.75)
    return spellings[close[0]] if close else None


class _Kind(NamedTuple):
    """What sets one kind of quantity apart, for reading it and for its errors."""

    noun: str
    rule: str
    example: str
    whole: str
    """What an int of it counts; not used for rates."""
    unit: str
    """The unit that a number without one most likely lacks."""
    unit_word: str
    read: Callable[[str], Fraction | None]
    """The exact value of well-formed text, else None."""
    meant: Callable[[str], str | None]
    """The well-formed text that ill-formed text seems to mean."""


_DURATION: Final = _Kind(
    noun="duration",
    rule="be written with the units d, h, m, s, ms, us and ns",
    example="30s",
    whole="nanoseconds",
    unit="s",
    unit_word="second",
    read=_read_duration,
    meant=lambda text: _meant_parts(text, "s", _DURATION_SPELLINGS),
)

_RATE: Final = _Kind(
    noun="rate",
    rule="be written as a number /s, /min, /h or /d",
    example="20/s",
    whole="",
    unit="/s",
    unit_word="",
    read=_read_rate,
    meant=_meant_rate,
)

_SIZE: Final = _Kind(
    noun="size",
    rule="be written with one of the units B, kB, MB, GB, TB, KiB, MiB, GiB and TiB",
    example="64KiB",
    whole="bytes",
    unit="B",
    unit_word="byte",
    read=_read_size,
    meant=lambda text: _meant_parts(text, "B", _SIZE_SPELLINGS),
)


def _read(text: str | float, kind: _Kind) -> Fraction:
    """The exact value of text, or the UnitError that says best what is wrong with it."""
    if isinstance(text, str) and len(text) <= LONGEST_TEXT:
        value = kind.read(text)
        if value is not None:
            return value
    raise _refusal(text, kind)


def _read_whole(text: str | float, kind: _Kind) -> int:
    """The same for a kind that counts whole things, of which an int64 must hold the number."""
    exact = _read(text, kind)
    if exact.denominator != 1:
        raise UnitError(f"a {kind.noun} must be a whole number of {kind.whole}, got {_shown(text)}")
    if exact > INT64_MAX:
        raise UnitError(
            f"a {kind.noun} must be at most {INT64_MAX} {kind.whole}, got {_shown(text)}"
        )
    return int(exact)


def _check_int64(value: int, kind: _Kind) -> int:
    if not 0 <= value <= INT64_MAX:
        raise UnitError(f"a {kind.noun} must be 0 to {INT64_MAX} {kind.whole}, got {value}")
    return value


def _refusal(value: str | float, kind: _Kind) -> UnitError:
    """Say what is wrong with a value that could not be read: the most telling fault first."""
    text, got = str(value).strip(), f"got {_shown(value)}"
    example = f'write it like "{kind.example}"'
    if len(text) > LONGEST_TEXT:
        rule = f"must have at most {LONGEST_TEXT} characters, got {len(text)}"
        return UnitError(f"a {kind.noun} {rule}", hint=example)
    if not text:
        return UnitError(f"a {kind.noun} must not be blank, {got}", hint=example)
    if re.match(r"-\s*[0-9.]", text):
        return UnitError(f"a {kind.noun} must not be negative, {got}")
    if _BARE.fullmatch(text):
        words = f" for {text} {kind.unit_word}" + ("" if text == "1" else "s")
        hint = f'write "{text}{kind.unit}"' + (words if kind.unit_word else "")
        return UnitError(f"a {kind.noun} needs a unit, {got}", hint=hint)
    meant = _meant(text, kind)
    hint = f'did you mean "{meant}"?' if meant else example
    return UnitError(f"a {kind.noun} must {kind.rule}, {got}", hint=hint)


def _meant(text: str, kind: _Kind) -> str | None:
    meant = kind.meant(text)
    try:
        return meant if meant and kind.read(meant) is not None else None
    except UnitError:
        return None


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
