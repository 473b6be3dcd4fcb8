"""Columns from text: every number and text comes back as it was, and nothing else passes."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.formats.clock_times import epoch_ns, epoch_ns_of_fields, moment_of, since_1970_ns
from flux.formats.fields import OTHERS, Fields, NotANumber, Text, TextCodes

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)
FIELD = st.text(st.characters(codec="utf-8", exclude_characters='\0"'), max_size=30)


def fields(texts: list[str]) -> Fields:
    """A column of these, with a comma after each."""
    pieces = [text.encode() for text in texts]
    lengths = np.array([len(piece) + 1 for piece in pieces], np.int64)
    ends = np.cumsum(lengths) - 1
    return Fields(Text(b"".join(piece + b"," for piece in pieces)), ends + 1 - lengths, ends)


@given(st.lists(INT64))
def test_whole_numbers_are_read_as_python_reads_them(values: list[int]) -> None:
    assert fields([str(value) for value in values]).integers().tolist() == values


@given(st.lists(st.integers(0, 10**19), min_size=1))
def test_numbers_beyond_63_bits_are_refused(values: list[int]) -> None:
    if max(values) < 2**63:
        assert fields([str(value) for value in values]).integers().tolist() == values
    else:
        with pytest.raises(NotANumber, match="must be a number"):
            fields([str(value) for value in values]).integers()


@pytest.mark.parametrize(
    "text", ["x", "1.0", "--1", "1-1", "-", " 1", "1e3", "٣", "12345678a", ":"]
)
def test_what_is_no_whole_number_is_refused_with_its_row(text: str) -> None:
    with pytest.raises(NotANumber, match="must be a number") as caught:
        fields(["1", text, "3"]).integers()
    assert (caught.value.row, caught.value.text) == (1, text)


def test_an_empty_field_counts_as_zero() -> None:
    assert fields(["", "7"]).integers().tolist() == [0, 7]
    assert fields(["", "0.5"]).decimals().tolist() == [0.0, 0.5]


@given(st.lists(FIELD))
def test_texts_get_a_number_each(texts: list[str]) -> None:
    codes = TextCodes()
    numbers = codes.numbers(fields(texts)).tolist()
    assert [codes.texts[number] for number in numbers] == texts
    assert len(codes.texts) == len(set(texts))
    assert codes.numbers(fields(texts)).tolist() == numbers


def test_texts_beyond_the_limit_are_one() -> None:
    codes = TextCodes(limit=2)
    assert codes.numbers(fields(["a", "b", "c", "d", "a"])).tolist() == [0, 1, 2, 2, 0]
    assert codes.texts == ["a", "b", OTHERS]


@given(
    st.lists(
        st.tuples(
            st.integers(-(10**18), 4 * 10**18),
            st.sampled_from([0, 60, -210, 345]),
            st.integers(0, 9),
        ),
        min_size=1,
    )
)
def test_times_are_read_to_the_nanosecond_in_any_zone(
    times: list[tuple[int, int, int]],
) -> None:
    texts, wanted = [], []
    for time_ns, minutes, digits in times:
        zone = datetime.timezone(datetime.timedelta(minutes=minutes))
        whole = moment_of(time_ns // 10**9 * 10**9).astimezone(zone)
        fraction = f"{time_ns % 10**9:09}"[:digits]
        clock, offset = whole.isoformat()[:19], whole.isoformat()[19:]
        texts.append(clock + ("." + fraction if fraction else "") + offset)
        wanted.append(time_ns // 10**9 * 10**9 + int((fraction or "0").ljust(9, "0")))
    assert epoch_ns_of_fields(fields(texts)).tolist() == wanted
    assert [epoch_ns(text) for text in texts] == wanted


@pytest.mark.parametrize("text", ["2026-11-21", "2026-13-01T00:00:00Z", "now", "", "1.5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NotANumber, match="must be a number"):
        epoch_ns_of_fields(fields(["2026-11-21T10:00:00Z", text]))
    with pytest.raises(ValueError, match="must be a time"):
        epoch_ns(text)


def test_a_moment_is_there_and_back_to_the_microsecond() -> None:
    moment = datetime.datetime(2026, 11, 21, 10, 0, 0, 123_457, tzinfo=datetime.UTC)
    assert moment_of(since_1970_ns(moment)) == moment
