"""Units: what is read, what is refused and with which way out, and that printing round-trips."""

import copy
import json
import math
import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flux.units import INT64_MAX, Duration, Rate, Size, UnitError

Quantity = Duration | Rate | Size
INT64 = st.integers(0, INT64_MAX)
ROUND_INT64 = st.builds(
    lambda count, unit: min(count * unit, INT64_MAX),
    st.integers(0, 10_000),
    st.sampled_from([10**power for power in range(0, 16, 3)] + [60 * 10**9, 3600 * 10**9, 2**30]),
)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0s", 0),
        ("10ns", 10),
        ("100us", 100_000),
        ("100µs", 100_000),
        ("100\N{GREEK SMALL LETTER MU}s", 100_000),
        ("250ms", 250_000_000),
        ("30s", 30_000_000_000),
        ("1.5s", 1_500_000_000),
        ("1.000000001s", 1_000_000_001),
        ("1m30s", 90_000_000_000),
        ("1m30s500ms", 90_500_000_000),
        ("1h30m", 5_400_000_000_000),
        ("90s", 90_000_000_000),
        ("2h", 7_200_000_000_000),
        ("1d", 86_400_000_000_000),
        ("1d1ns", 86_400_000_000_001),
        ("9223372036854775807ns", INT64_MAX),
    ],
)
def test_duration_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    """Every unit, fractions and descending combinations are exact."""
    assert Duration.parse(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("30", 'a duration needs a unit, got "30"', 'write "30s" for 30 seconds'),
        ("1", 'a duration needs a unit, got "1"', 'write "1s" for 1 second'),
        (30, "a duration needs a unit, got 30", 'write "30s" for 30 seconds'),
        ("5sec", 'with the units d, h, m, s, ms, us and ns, got "5sec"', 'did you mean "5s"?'),
        ("5 min", 'got "5 min"', 'did you mean "5m"?'),
        ("5 minutes and 3 seconds", "got", 'did you mean "5m3s"?'),
        ("5 secnds", "got", 'did you mean "5s"?'),
        ("30S", "got", 'did you mean "30s"?'),
        (" 30s", "got", 'did you mean "30s"?'),
        ("30s\n", "got", 'did you mean "30s"?'),
        ("1m 30s", "got", 'did you mean "1m30s"?'),
        ("1m30", "got", 'did you mean "1m30s"?'),
        ("1w", "got", 'write it like "30s"'),
        ("", 'a duration must not be blank, got ""', 'write it like "30s"'),
        ("  ", "must not be blank", 'write it like "30s"'),
        ("-5s", 'a duration must not be negative, got "-5s"', None),
        ("nan", "must be written with", 'write it like "30s"'),
        ("infs", "must be written with", 'write it like "30s"'),
        ("1e3s", "must be written with", 'write it like "30s"'),
        ("1_000s", "must be written with", 'write it like "30s"'),
        ("\N{ARABIC-INDIC DIGIT THREE}s", "must be written with", 'write it like "30s"'),
        (True, "must be written with", 'write it like "30s"'),
        ("1s1s", "must go from large to small, each once", None),
        ("1s1m", "must go from large to small, each once", None),
        ("1us1µs", "must go from large to small, each once", None),
        ("0.5ns", 'must be a whole number of nanoseconds, got "0.5ns"', None),
        ("106752d", f'must be at most {INT64_MAX} nanoseconds, got "106752d"', None),
        ("9" * 5_000 + "s", "must have at most 100 characters, got 5001", 'write it like "30s"'),
    ],
)
def test_refused_duration_says_why_and_how_to_write_it(
    text: str | int, message: str, hint: str | None
) -> None:
    """The message names the rule and the value; a spelling with a clear meaning is offered."""
    with pytest.raises(UnitError, match=re.escape(message)) as caught:
        Duration.parse(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (100_000, "100us"),
        (250_000_000, "250ms"),
        (1_500_000, "1.5ms"),
        (1_500_000_000, "1.5s"),
        (1_001_000_000, "1.001s"),
        (90_000_000_000, "1m30s"),
        (60_250_000_000, "1m250ms"),
        (3_600_000_000_000, "1h"),
        (129_600_000_000_000, "1d12h"),
        (INT64_MAX, "106751d23h47m16.854775807s"),
    ],
)
def test_duration_prints_its_canonical_form(nanoseconds: int, text: str) -> None:
    """Large units first, what is left of a minute in its largest unit; f-strings print the same."""
    duration = Duration(nanoseconds)
    assert (str(duration), f"{duration}") == (text, text)
    assert repr(duration) == f"Duration.parse('{text}')"


@given(INT64 | ROUND_INT64)
@example(INT64_MAX)
def test_printed_duration_reads_back_equal(nanoseconds: int) -> None:
    """parse inverts str over the whole range."""
    assert Duration.parse(str(Duration(nanoseconds))) == nanoseconds


def test_duration_of_seconds_is_the_nearest_nanosecond() -> None:
    """Literals in code need no text; seconds gives them back."""
    assert Duration.of_seconds(1.5) == 1_500_000_000
    assert Duration.of_seconds(0.1) == 100_000_000
    assert Duration.of_seconds(0.1).seconds == 0.1
    with pytest.raises(UnitError, match="a duration must be finite, got nan seconds"):
        Duration.of_seconds(math.nan)


@pytest.mark.parametrize("kind", [Duration, Size])
@pytest.mark.parametrize("value", [-1, INT64_MAX + 1])
def test_whole_quantity_out_of_int64_is_refused(kind: type[Duration | Size], value: int) -> None:
    """The constructor holds the same range as parse."""
    with pytest.raises(UnitError, match=f"must be 0 to {INT64_MAX} .*, got {value}"):
        kind(value)


@pytest.mark.parametrize("kind", [Duration, Size])
@pytest.mark.parametrize("value", [1.5, "30"])
def test_whole_quantity_is_not_coerced(kind: type[Duration | Size], value: int) -> None:
    """Neither a float nor text slips through the constructor as a number without a unit."""
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        kind(value)


@pytest.mark.parametrize(
    ("text", "per_s", "printed"),
    [
        ("20/s", 20.0, "20/s"),
        ("0/s", 0.0, "0/s"),
        ("0.3/s", 0.3, "0.3/s"),
        ("1200/min", 20.0, "20/s"),
        ("1200/m", 20.0, "20/s"),
        ("5/h", 5 / 3600, "0.001388888888888889/s"),
        ("3/d", 3 / 86_400, "3.472222222222222e-05/s"),
        ("10k/s", 10_000.0, "10000/s"),
        ("2.5M/s", 2_500_000.0, "2500000/s"),
        ("1e22/s", 1e22, "1e+22/s"),
    ],
)
def test_rate_is_read_per_second(text: str, per_s: float, printed: str) -> None:
    """Every period comes down to the correctly rounded number per second, which is printed."""
    assert Rate.parse(text) == per_s
    assert str(Rate.parse(text)) == printed


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("20", 'a rate needs a unit, got "20"', 'write "20/s"'),
        (0.5, "a rate needs a unit, got 0.5", 'write "0.5/s"'),
        ("20 per second", "as a number /s, /min, /h or /d", 'did you mean "20/s"?'),
        ("20 requests per minute", "got", 'did you mean "20/min"?'),
        ("20rps", "got", 'did you mean "20/s"?'),
        ("20 req/s", "got", 'did you mean "20/s"?'),
        ("20 / s", "got", 'did you mean "20/s"?'),
        ("20/sec", "got", 'did you mean "20/s"?'),
        ("20K/s", "got", 'did you mean "20k/s"?'),
        ("20k", "got", 'did you mean "20k/s"?'),
        ("20/ms", "got", 'write it like "20/s"'),
        ("", "a rate must not be blank", 'write it like "20/s"'),
        ("-1/s", 'a rate must not be negative, got "-1/s"', None),
        ("nan/s", "must be written", 'write it like "20/s"'),
        ("inf/s", "must be written", 'write it like "20/s"'),
        ("1e999/s", 'a rate must be finite, got "1e999/s"', None),
        ("1e999999999/s", "must be written", 'write it like "20/s"'),
    ],
)
def test_refused_rate_says_why_and_how_to_write_it(
    text: str | float, message: str, hint: str | None
) -> None:
    """As for durations."""
    with pytest.raises(UnitError, match=re.escape(message)) as caught:
        Rate.parse(text)
    assert caught.value.hint == hint


@given(st.floats(0, allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(1.7976931348623157e308)
def test_printed_rate_reads_back_equal(per_s: float) -> None:
    """parse inverts str for every finite float, to the last bit."""
    assert Rate.parse(str(Rate(per_s))) == per_s


@pytest.mark.parametrize("per_s", [-1.0, math.nan, math.inf])
def test_rate_out_of_range_is_refused(per_s: float) -> None:
    """The constructor holds the same range as parse."""
    with pytest.raises(UnitError, match="a rate must be finite and 0 or greater, got"):
        Rate(per_s)


def test_negative_zero_rate_prints_without_a_sign() -> None:
    """-0.0 is 0/s, which can be read back."""
    assert str(Rate(-0.0)) == "0/s"


@pytest.mark.parametrize(
    ("text", "size_bytes", "printed"),
    [
        ("0B", 0, "0B"),
        ("512B", 512, "512B"),
        ("10kB", 10_000, "10kB"),
        ("1000kB", 1_000_000, "1MB"),
        ("1MB", 1_000_000, "1MB"),
        ("64KiB", 65_536, "64KiB"),
        ("1MiB", 1_048_576, "1MiB"),
        ("1.5MiB", 1_572_864, "1536KiB"),
        ("2GiB", 2_147_483_648, "2GiB"),
        ("3TB", 3_000_000_000_000, "3TB"),
        ("1TiB", 1_099_511_627_776, "1TiB"),
    ],
)
def test_size_is_read_in_bytes(text: str, size_bytes: int, printed: str) -> None:
    """KiB is 1024 and kB is 1000; the shortest whole number of a unit is printed."""
    assert Size.parse(text) == size_bytes
    assert str(Size.parse(text)) == printed


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("64", 'a size needs a unit, got "64"', 'write "64B" for 64 bytes'),
        ("64k", "with one of the units B, kB", 'did you mean "64KiB"?'),
        ("64 kb", "got", 'did you mean "64kB"?'),
        ("64 KIB", "got", 'did you mean "64KiB"?'),
        ("3 megabyte", "got", 'did you mean "3MB"?'),
        ("1KiB1B", "must be written", 'write it like "64KiB"'),
        ("-1B", "a size must not be negative", None),
        ("0.5B", 'must be a whole number of bytes, got "0.5B"', None),
        ("9999999TiB", "must be at most", None),
    ],
)
def test_refused_size_says_why_and_how_to_write_it(
    text: str, message: str, hint: str | None
) -> None:
    """As for durations."""
    with pytest.raises(UnitError, match=re.escape(message)) as caught:
        Size.parse(text)
    assert caught.value.hint == hint


@given(INT64 | ROUND_INT64)
def test_printed_size_reads_back_equal(size_bytes: int) -> None:
    """parse inverts str over the whole range."""
    assert Size.parse(str(Size(size_bytes))) == size_bytes


@given(st.text() | st.from_regex(r"[0-9.]{1,4} ?[a-zA-Z/µ]{0,5}[0-9]{0,2}[a-z]{0,2}"))
def test_any_other_text_is_a_unit_error_whose_suggestion_is_good(text: str) -> None:
    """Nothing but UnitError comes out, and a suggested text is one that parse accepts."""
    for kind in (Duration, Rate, Size):
        try:
            kind.parse(text)
        except UnitError as error:
            suggested = re.fullmatch(r'did you mean "(.*)"\?', error.hint or "")
            if suggested and "at most" not in str(error):
                assert kind.parse(suggested[1]) >= 0


@pytest.mark.parametrize("value", [Duration(90), Rate(0.3), Size(1024)])
def test_quantity_pickles_copies_and_counts_as_a_number(value: Quantity) -> None:
    """Copies keep the type; arithmetic and JSON see the plain number."""
    plain = float(value) if isinstance(value, float) else int(value)
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), copy.copy(value)):
        assert type(twin) is type(value)
        assert twin == value
    assert type(value * 2) is type(plain)
    assert json.dumps(value) == json.dumps(plain)


def test_unit_error_pickles_with_its_hint() -> None:
    """An error can cross a process boundary."""
    error = pickle.loads(pickle.dumps(UnitError("a duration needs a unit", hint='write "30s"')))
    assert (str(error), error.hint) == ("a duration needs a unit", 'write "30s"')
