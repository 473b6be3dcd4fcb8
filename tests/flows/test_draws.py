import re
import string
import uuid
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.flows import encoding
from flux.flows.draws import (
    ArrivalNumber,
    Draw,
    RandomChoice,
    RandomHex,
    RandomInt,
    RandomText,
    RandomUuid,
)
from flux.randomness import mix64

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SEEDS = st.integers(0, 2**64 - 1)
SEQS = st.integers(0, 2**62)
SLOTS = st.integers(0, 2**33)


def drawn(draw: Draw, seed: int, seqs: list[int], slot: int = 0) -> list[bytes]:
    return draw.column(seed, np.array(seqs, np.int64), slot, encoding.plain)


def text_by_definition(length: int, seed: int, seq: int, slot: int) -> str:
    """The same without numpy: five digits to base 62 of each word, the lowest first."""
    text = ""
    for word in range(-(-length // 5)):
        rest = mix64(seed, seq, slot + word) * 62**5 >> 64
        for _ in range(5):
            rest, digit = divmod(rest, 62)
            text += ALPHABET[digit]
    return text[:length]


@given(length=st.integers(1, 40), seed=SEEDS, seq=SEQS, slot=SLOTS)
def test_a_random_text_is_what_its_definition_says(
    length: int, seed: int, seq: int, slot: int
) -> None:
    expected = text_by_definition(length, seed, seq, slot).encode()
    assert drawn(RandomText(length), seed, [seq], slot) == [expected]


@given(length=st.integers(1, 70), seed=SEEDS, seq=SEQS, slot=SLOTS)
def test_random_hex_is_the_words_one_after_another(
    length: int, seed: int, seq: int, slot: int
) -> None:
    words = [mix64(seed, seq, slot + word) for word in range(-(-length // 16))]
    expected = "".join(f"{word:016x}" for word in words)[:length]
    assert drawn(RandomHex(length), seed, [seq], slot) == [expected.encode()]


@given(
    bounds=st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)),
    seed=SEEDS,
    seq=SEQS,
)
def test_a_random_int_of_a_wide_range_is_what_its_definition_says(
    bounds: tuple[int, int], seed: int, seq: int
) -> None:
    low, high = sorted(bounds)
    draw = RandomInt(low, high)
    words = [mix64(seed, seq, slot) for slot in range(draw.slots)]
    bits = 64 * draw.slots
    whole = words[0] if draw.slots == 1 else words[0] << 64 | words[1]
    expected = low + (whole * (high - low + 1) >> bits)
    assert low <= expected <= high
    assert drawn(draw, seed, [seq]) == [b"%d" % expected]


@given(low=st.integers(-(10**9), 10**9), cases=st.integers(1, 2**30), seed=SEEDS, seq=SEQS)
def test_a_random_int_of_a_narrow_range_takes_one_word(
    low: int, cases: int, seed: int, seq: int
) -> None:
    draw = RandomInt(low, low + cases - 1)
    assert draw.slots == 1
    expected = low + (mix64(seed, seq, 3) * cases >> 64)
    assert drawn(draw, seed, [seq], 3) == [b"%d" % expected]


@given(seed=SEEDS, seq=SEQS)
def test_a_random_uuid_is_padded_and_says_its_version(seed: int, seq: int) -> None:
    (text,) = drawn(RandomUuid(), seed, [seq])
    made = uuid.UUID(text.decode())
    assert re.fullmatch(
        rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text
    )
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    words = [mix64(seed, seq, slot) for slot in (0, 1)]
    assert made.int & ~(0xF << 76 | 0x3 << 62) == (words[0] << 64 | words[1]) & ~(
        0xF << 76 | 0x3 << 62
    )


@pytest.mark.parametrize(
    "draw",
    [
        RandomText(7),
        RandomHex(33),
        RandomUuid(),
        RandomInt(-5, 5),
        RandomInt(0, 2**50),
        RandomChoice(("a", "b", "c")),
        ArrivalNumber(),
    ],
    ids=lambda draw: type(draw).__name__,
)
def test_many_sessions_at_once_get_what_each_gets_alone(draw: Draw) -> None:
    seqs = [5, 0, 3, 512, 511, 10**12]
    assert drawn(draw, 9, seqs) == [drawn(draw, 9, [seq])[0] for seq in seqs]


def test_random_text_has_no_bias() -> None:
    """χ² over the 62 characters, at each of 5 places of a word; 20,000 draws of a fixed seed.

    With 61 degrees of freedom the 99.99 % quantile is 111; the modulo of one byte, which makes 8 of
    the 62 characters a quarter likelier, would give about 196 above the 61 expected.
    """
    count = 20_000
    texts = drawn(RandomText(5), 11, list(range(count)))
    for place in range(5):
        found = Counter(text[place] for text in texts)
        assert len(found) == 62
        statistic = sum((n - count / 62) ** 2 / (count / 62) for n in found.values())
        assert statistic < 111


def test_random_ints_and_choices_have_no_bias() -> None:
    """χ² over 6 values, 12,000 draws of a fixed seed; the 99.99 % quantile of 5 degrees is 26."""
    count = 12_000
    for draw in (RandomInt(1, 6), RandomChoice(tuple("abcdef"))):
        found = Counter(drawn(draw, 4, list(range(count))))
        assert len(found) == 6
        assert sum((n - count / 6) ** 2 / (count / 6) for n in found.values()) < 26


def test_choices_are_encoded_for_where_they_stand() -> None:
    seqs = np.arange(20, dtype=np.int64)
    found = RandomChoice(('"', "ü")).column(1, seqs, 0, encoding.json_string)
    assert set(found) == {b'\\"', "ü".encode()}
