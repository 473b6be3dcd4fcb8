"""Random values of a session, drawn for many sessions at once and each fixed by (seed, seq, slot).

A draw takes a few slots of a session; each slot gives one 64-bit word (`flux.randomness`). A number
below m comes from a word w as ⌊w·m / 2⁶⁴⌋ (D. Lemire, Fast random integer generation in an
interval, 2019, without the rejection step): no result is likelier than another by more than
m / 2⁶⁴. With m at most 2³⁰ for one word, and two words for more, that stays below 10⁻¹⁰.
"""

import string
from typing import ClassVar, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from flux.flows.encoding import Encode, is_number
from flux.randomness import mix64_array

Seqs = npt.NDArray[np.int64]

LONGEST_TEXT = 1024
"""Characters of one random text; more would make the drawing of a block noticeable as lag."""

_ALPHABET = np.frombuffer(
    (string.digits + string.ascii_uppercase + string.ascii_lowercase).encode(), np.uint8
)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_CHARACTERS_PER_WORD = 5
"""62⁵ is the largest power of 62 below 2³⁰."""
_HEX_PER_WORD = 16
_ONE_WORD = 1 << 30
"""Up to this many cases one word is enough."""


class Draw(Protocol):
    """A kind of random value."""

    @property
    def slots(self) -> int:
        """How many slots of the session it takes."""

    @property
    def width(self) -> int:
        """How many bytes a value has, more or less."""

    @property
    def is_number(self) -> bool:
        """True when JSON may have its values without quotes."""

    def column(self, seed: int, seqs: Seqs, slot: int, encode: Encode) -> list[bytes]:
        """The values of these sessions, encoded.

        Args:
            seed: of the run.
            seqs: (n,) int64, numbers of the sessions.
            slot: the first of the slots that it takes.
            encode: for where the value stands; digits and letters need none.
        """


@attrs.frozen
class RandomText:
    """Letters and digits, all 62 equally likely."""

    length: int
    is_number: ClassVar[bool] = False

    @property
    def slots(self) -> int:
        """Five characters a word."""
        return -(-self.length // _CHARACTERS_PER_WORD)

    @property
    def width(self) -> int:
        """Its length."""
        return self.length

    def column(self, seed: int, seqs: Seqs, slot: int, encode: Encode) -> list[bytes]:
        """See `Draw`."""
        digits = np.empty((len(seqs), self.slots * _CHARACTERS_PER_WORD), np.uint8)
        base = np.uint32(len(_ALPHABET))
        for word in range(self.slots):
            words = mix64_array(seed, seqs, slot + word)
            rest = _scaled(words, int(base) ** _CHARACTERS_PER_WORD).astype(np.uint32)
            first = word * _CHARACTERS_PER_WORD
            for place in range(first, first + _CHARACTERS_PER_WORD):
                quotient = rest // base
                digits[:, place] = rest - quotient * base
                rest = quotient
        return _as_list(_ALPHABET[digits[:, : self.length]])


@attrs.frozen
class RandomHex:
    """Hexadecimal digits in lower case."""

    length: int
    is_number: ClassVar[bool] = False

    @property
    def slots(self) -> int:
        """Sixteen digits a word."""
        return -(-self.length // _HEX_PER_WORD)

    @property
    def width(self) -> int:
        """Its length."""
        return self.length

    def column(self, seed: int, seqs: Seqs, slot: int, encode: Encode) -> list[bytes]:
        """See `Draw`."""
        octets = _octets(seed, seqs, slot, self.slots)
        return _as_list(_hex_digits(octets)[:, : self.length])


@attrs.frozen
class RandomUuid:
    """A random UUID. Source: RFC 9562, section 5.4 (version 4) and 4.1 (variant)."""

    slots: ClassVar[int] = 2
    width: ClassVar[int] = 36
    is_number: ClassVar[bool] = False

    def column(self, seed: int, seqs: Seqs, slot: int, encode: Encode) -> list[bytes]:
        """See `Draw`."""
        octets = _octets(seed, seqs, slot, 2)
        octets[:, 6] = octets[:, 6] & 0x0F | 0x40
        octets[:, 8] = octets[:, 8] & 0x3F | 0x80
        digits = _hex_digits(octets)
        text = np.full((len(seqs), 36), ord("-"), np.uint8)
        for start, end, shift in ((0, 8, 0), (8, 12, 1), (12, 16, 2), (16, 20, 3), (20, 32, 4)):
            text[:, start + shift : end + shift] = digits[:, start:end]
        return _as_list(text)


@attrs.frozen
class RandomInt:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int
    width: ClassVar[int] = 20
    is_number: ClassVar[bool] = True

    @property
    def slots(self) -> int:
        """One word, or two where one would show a bias."""
        return 1 if self.high - self.low < _ONE_WORD else 2

    def column(self, seed: int, seqs: Seqs, slot: int, encode: Encode) -> list[bytes]:
        """See `Draw`."""
        low, cases = self.low, self.high - self.low + 1
        words = mix64_array(seed, seqs, slot)
        if self.slots == 1:
            return [b"%d" % (low + offset) for offset in _scaled(words, cases).tolist()]
        more = mix64_array(seed, seqs, slot + 1)
        return [
            b"%d" % (low + (((high_word << 64 | low_word) * cases) >> 128))
            for high_word, low_word in zip(words.tolist(), more.tolist())
        ]


@attrs.frozen
class RandomChoice:
    """One of several texts, all equally likely."""

    choices: tuple[str, ...]
    slots: ClassVar[int] = 1

    @property
    def width(self) -> int:
        """Of the longest one."""
        return max(len(choice) for choice in self.choices)

    @property
    def is_number(self) -> bool:
        """True when all of them are numbers."""
        return all(is_number(choice) for choice in self.choices)

    def column(self, seed: int, seqs: Seqs, slot: int, encode: Encode) -> list[bytes]:
        """See `Draw`."""
        encoded = [encode(choice) for choice in self.choices]
        indexes = _scaled(mix64_array(seed, seqs, slot), len(encoded))
        return [encoded[index] for index in indexes.tolist()]


@attrs.frozen
class ArrivalNumber:
    """The number of the arrival or iteration: random in nothing, but known as early."""

    slots: ClassVar[int] = 0
    width: ClassVar[int] = 20
    is_number: ClassVar[bool] = True

    def column(self, seed: int, seqs: Seqs, slot: int, encode: Encode) -> list[bytes]:
        """See `Draw`."""
        return [b"%d" % seq for seq in seqs.tolist()]


def _scaled(words: npt.NDArray[np.uint64], cases: int) -> npt.NDArray[np.uint64]:
    """⌊w·cases / 2⁶⁴⌋ for cases up to 2³², by halves of 32 bits: no product exceeds 2⁶⁴ - 1."""
    half, factor = np.uint64(32), np.uint64(cases)
    low = ((words & np.uint64(0xFFFFFFFF)) * factor) >> half
    return ((words >> half) * factor + low) >> half


def _octets(seed: int, seqs: Seqs, slot: int, words: int) -> npt.NDArray[np.uint8]:
    """(n, 8·words) uint8: the words one after another, each with its highest byte first."""
    columns = [mix64_array(seed, seqs, slot + word) for word in range(words)]
    return np.stack(columns, axis=1).astype(">u8").view(np.uint8)


def _hex_digits(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    digits = np.empty((octets.shape[0], 2 * octets.shape[1]), np.uint8)
    digits[:, 0::2] = _HEX[octets >> 4]
    digits[:, 1::2] = _HEX[octets & 0x0F]
    return digits


def _as_list(characters: npt.NDArray[np.uint8]) -> list[bytes]:
    """(n, length) character codes, none of them 0, to n bytes objects in one call."""
    length = characters.shape[1]
    texts: list[bytes] = np.ascontiguousarray(characters).view(f"S{length}").ravel().tolist()
    return texts
