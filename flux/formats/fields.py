"""Columns of values from lines of text, a column at a time: no loop over rows.

`flux.text_columns` backwards. A block of text is cut into fields by looking at all its bytes at
once; a field is a start and an end. Numbers are then read eight digits at a time: the eight bytes
that end where the field ends are one integer, from which what stands before the field is masked
out, and three multiplications add up its digits (pairs, then fours, then eights). Texts that come
again and again, such as names of steps, are told apart by a 64-bit hash of their bytes, and each
new one is looked at once.

Source: Wojciech Muła, "SIMD-ized faster parse of IPv4 and of integers", for the multiplications.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
_Unsigned = npt.NDArray[np.uint64]

_WORD = 8
OTHERS = "(others)"
"""What all texts are together that are too many to be told apart."""

_MOST_DIGITS = 19  # of an int64
_MARGIN = 3 * _WORD  # room for the three words that these digits take
_PADDING = b"\0" * _MARGIN
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_ZEROS = np.uint64(0x3030303030303030)
# Of a word, which bytes are the last n: those before the field are masked out.
_LAST_BYTES = np.array([0, *(2**64 - 2 ** (64 - 8 * n) for n in range(1, 9))], np.uint64)
_FIRST_BYTES = np.array([*(2 ** (8 * n) - 1 for n in range(9))], np.uint64)


class NotANumber(ValueError):
    """A field of a column of numbers is none."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(f"must be a number, got {text!r}")
        self.row = row
        self.text = text


class TextCodes:
    """Texts that were seen, each with a number from 0 in the order in which it was first seen."""

    def __init__(self, texts: Sequence[str] = (), *, limit: int = 2**16) -> None:
        """Begin with these texts known.

        Args:
            texts: get the first numbers.
            limit: of this many texts on, all further ones together are OTHERS.
        """
        self.texts: list[str] = []
        """Each text, by its number."""
        self._limit = limit
        self._numbers: dict[str, int] = {}
        self._hashes: _Unsigned = np.zeros(0, np.uint64)  # ascending
        self._codes: Integers = np.zeros(0, np.int64)
        for text in texts:
            self.number(text)

    @property
    def has_others(self) -> bool:
        """Whether there were more texts than are told apart."""
        return len(self.texts) > self._limit

    def number(self, text: str) -> int:
        """The number of a text; a new one gets the next."""
        number = self._numbers.get(text)
        if number is not None:
            return number
        if len(self.texts) >= self._limit:
            if not self.has_others:
                self.texts.append(OTHERS)
            return self._limit
        self._numbers[text] = len(self.texts)
        self.texts.append(text)
        return len(self.texts) - 1

    def numbers(self, fields: "Fields") -> Integers:
        """The number of each field's text: (n,) int64."""
        hashes = fields.hashes
        is_known, codes = self._find(hashes)
        if is_known.all():
            return codes
        _, firsts = np.unique(hashes[~is_known], return_index=True)
        for row in np.flatnonzero(~is_known)[np.sort(firsts)].tolist():
            number = self.number(fields.text(row))
            if number == self._limit:
                break
            self._learn(hashes[row], number)
        is_known, codes = self._find(hashes)
        return np.where(is_known, codes, self._limit)

    def _find(self, hashes: _Unsigned) -> tuple[npt.NDArray[np.bool_], Integers]:
        if not self._hashes.size:
            return np.zeros(hashes.shape, np.bool_), np.zeros(hashes.shape, np.int64)
        places = np.minimum(np.searchsorted(self._hashes, hashes), self._hashes.size - 1)
        return self._hashes[places] == hashes, self._codes[places]

    def _learn(self, value: np.uint64, number: int) -> None:
        place = int(np.searchsorted(self._hashes, value))
        self._hashes = np.insert(self._hashes, place, value)
        self._codes = np.insert(self._codes, place, number)


class Text:
    """A block of text whose bytes can be read eight at a time."""

    def __init__(self, text: bytes | bytearray) -> None:
        """Take over a block; it is copied once, with room at both ends."""
        self._padded = b"".join((_PADDING, text, _PADDING))
        self._bytes = np.frombuffer(self._padded, np.uint8)
        self.bytes = self._bytes[_MARGIN:-_MARGIN]
        """(n,) uint8: the block."""
        self.has_quotes = b'"' in self._padded
        """Whether there is a quotation mark anywhere."""
        count = len(self._padded) - _WORD + 1
        # Every byte begins a word of its own: the words overlap.
        self._words = np.ndarray((count,), np.dtype("<u8"), self._padded, strides=(1,))

    def words(self, places: Integers) -> _Unsigned:
        """The eight bytes from each of these places on; -24 is the first, and end + 16 the last."""
        words: _Unsigned = self._words[places + _MARGIN]
        return words

    def first_bytes(self, places: Integers) -> npt.NDArray[np.uint8]:
        """(n,) uint8: the byte at each of these places, which may be just past the end."""
        found: npt.NDArray[np.uint8] = self._bytes[places + _MARGIN]
        return found

    def slice(self, start: int, end: int) -> bytes:
        """Some of the bytes."""
        return self._padded[start + _MARGIN : end + _MARGIN]


class Fields:
    """One column: a field in each row of a block."""

    def __init__(self, text: Text, starts: Integers, ends: Integers) -> None:
        """Name where each field is; quotes around it are not part of it.

        Args:
            text: the block.
            starts: (n,) int64, first byte of each field.
            ends: (n,) int64, the byte after its last.
        """
        self._text = text
        self.has_quotes = False
        """Whether any of the fields was in quotes."""
        if starts.size and text.has_quotes:
            quoted = (text.first_bytes(starts) == ord('"')) & (ends > starts)
            if quoted.any():
                self.has_quotes = True
                starts, ends = starts + quoted, ends - quoted
        self.starts = starts
        self.ends = ends
        self.lengths: Integers = np.maximum(ends - starts, 0)
        """(n,) int64: bytes of each field."""

    def __len__(self) -> int:
        return len(self.starts)

    def where(self, rows: npt.NDArray[np.bool_]) -> "Fields":
        """Only some of the rows."""
        return Fields(self._text, self.starts[rows], self.ends[rows])

    def text(self, row: int) -> str:
        """The field as text, with doubled quotes as one."""
        raw = self._text.slice(int(self.starts[row]), int(self.ends[row]))
        return raw.decode("utf-8", errors="replace").replace('""', '"')

    def texts(self) -> list[str]:
        """All fields as text: slow, for columns in which every field may be another."""
        return [self.text(row) for row in range(len(self))]

    @cached_property
    def hashes(self) -> _Unsigned:
        """(n,) uint64: equal for equal texts."""
        hashes = self.lengths.astype(np.uint64) * _HASH_FACTOR
        longest = int(self.lengths.max(initial=0))
        for offset in range(0, longest, _WORD):
            rest = np.clip(self.lengths - offset, 0, _WORD)
            # Past the end of a short field the same word again would do, but never be read.
            places = np.minimum(self.starts + offset, self.ends)
            hashes ^= self._text.words(places) & _FIRST_BYTES[rest]
            hashes *= _HASH_FACTOR
            hashes ^= hashes >> np.uint64(29)
        return hashes

    def integers(self) -> Integers:
        """Each field as a whole number; an empty one is 0.

        Raises:
            NotANumber: one is not.
        """
        if not len(self):
            return np.zeros(0, np.int64)
        is_negative = self._text.first_bytes(self.starts) == ord("-")
        is_negative &= self.lengths > 1
        lengths = self.lengths - is_negative if is_negative.any() else self.lengths
        longest = int(lengths.max())
        if longest > _MOST_DIGITS:
            raise self._not_a_number(lengths > _MOST_DIGITS)
        values, bad = self._digits(lengths, 0)
        for group in range(1, -(-longest // _WORD)):
            above, more_bad = self._digits(lengths, group)
            values += above * np.int64(10 ** (_WORD * group))
            bad |= more_bad
        bad |= values < 0  # 19 digits may be too many for 63 bits
        if bad.any():
            raise self._not_a_number(bad)
        return np.where(is_negative, -values, values) if is_negative.any() else values

    def decimals(self) -> npt.NDArray[np.float64]:
        """Each field as a number that may have a fraction; an empty one is 0.

        Raises:
            NotANumber: one is not.
        """
        texts = self._padded_texts(32)
        texts[self.lengths == 0] = b"0"
        try:
            return texts.astype(np.float64)
        except ValueError:
            for row, text in enumerate(texts.tolist()):
                try:
                    float(text)
                except ValueError:
                    raise NotANumber(row, text.decode(errors="replace")) from None
            raise

    def count(self, text: bytes) -> int:
        """How many fields are this text, of at most eight bytes."""
        some = self.lengths == len(text)
        return int(np.count_nonzero(self._padded_texts(_WORD)[some] == text)) if some.any() else 0

    def last_bytes(self) -> npt.NDArray[np.uint8]:
        """(n,) uint8: the last byte of each field, that of the text before it if it is empty."""
        return self._text.words(self.ends - 1).astype(np.uint8)

    def part(self, starts: Integers, ends: Integers) -> "Fields":
        """Other places in the same block."""
        return Fields(self._text, starts, ends)

    def _digits(self, lengths: Integers, group: int) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """The value of the group-th eight digits from the end, and where they are none."""
        rest = np.clip(lengths - _WORD * group, 0, _WORD)
        places = np.maximum(self.ends - _WORD * (group + 1), -_MARGIN)
        digits = (self._text.words(places) ^ _ZEROS) & _LAST_BYTES[rest]
        bad = (digits + np.uint64(0x7676767676767676)) | digits
        bad &= np.uint64(0x8080808080808080)
        digits = digits * np.uint64(10) + (digits >> np.uint64(8))
        mask = np.uint64(0x000000FF000000FF)
        digits = (
            (digits & mask) * np.uint64(100 + (10**6 << 32))
            + ((digits >> np.uint64(16)) & mask) * np.uint64(1 + (10**4 << 32))
        ) >> np.uint64(32)
        return digits.astype(np.int64), bad != 0

    def _padded_texts(self, width: int) -> npt.NDArray[np.bytes_]:
        """(n,) as fixed-width bytes, cut after `width`, a multiple of 8."""
        matrix = np.zeros((len(self), width // _WORD), np.uint64)
        for number in range(matrix.shape[1]):
            rest = np.clip(self.lengths - _WORD * number, 0, _WORD)
            places = np.minimum(self.starts + _WORD * number, self.ends)
            matrix[:, number] = self._text.words(places) & _FIRST_BYTES[rest]
        return matrix.view(f"S{width}").reshape(-1)

    def _not_a_number(self, bad: npt.NDArray[np.bool_]) -> NotANumber:
        row = int(np.flatnonzero(bad)[0])
        return NotANumber(row, self.text(row))
