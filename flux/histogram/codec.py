"""HdrHistogram's V2 compressed text: what `.hlog` lines and other HDR tools carry.

    base64( u32 0x1c849314 · u32 length · zlib level 9 of:
            u32 0x1c849313 · u32 length of the counts · u32 normalizing offset 0 · u32 digits
            · u64 lowest · u64 highest · f64 ratio 1.0 · counts )

All numbers are big-endian. The counts, from bucket 0 to that of the maximum, are one number of
variable length each, a run of n > 1 empty buckets being the single number -n. A number is
zigzag-coded (0, -1, 1, -2 … become 0, 1, 2, 3 …) and written seven bits to a byte, lowest first,
with the top bit set on all bytes but the last; a ninth byte is the last and holds eight bits.

Source: HdrHistogram's AbstractHistogram.encodeIntoCompressedByteBuffer and ZigZagEncoding
(LEB128-64b9B), http://hdrhistogram.org.
"""

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from flux.errors import FluxError
from flux.histogram import layout
from flux.histogram.recorder import Histogram

_OUTER = struct.Struct(">II")
_INNER = struct.Struct(">IIIIQQd")
_OUTER_COOKIE = 0x1C849314
_INNER_COOKIE = 0x1C849313
_LONGEST = 9  # bytes of one number
_MOST_COUNTS = 1 << 22  # of any recorder: five digits over the whole range of 63 bits
_LONGEST_INNER = _INNER.size + _LONGEST * layout.COUNTS_LENGTH


def encode(histogram: Histogram) -> str:
    """The counts as V2 compressed base64; it begins with HISTFAAA."""
    compressed = zlib.compress(encode_inner(histogram), 9)
    return base64.b64encode(_OUTER.pack(_OUTER_COOKIE, len(compressed)) + compressed).decode()


def encode_inner(histogram: Histogram) -> bytes:
    """What is compressed: byte for byte what HdrHistogram's Java library writes."""
    numbers = _pack(_with_runs(histogram.counts[: max(histogram.filled_slice().stop, 1)]))
    header = _INNER.pack(
        _INNER_COOKIE,
        len(numbers),
        0,
        layout.SIGNIFICANT_DIGITS,
        layout.LOWEST_US,
        layout.HIGHEST_US,
        1.0,
    )
    return header + numbers


def decode(text: str) -> Histogram:
    """The histogram in a V2 compressed base64 text.

    Its minimum, maximum and sum are those of the buckets; the text does not carry the exact ones.

    Raises:
        FluxError: the text is not such a histogram, or its layout is not 1 µs with 3 digits.
    """
    return decode_inner(inflate(text))


def inflate(text: str) -> bytes:
    """The uncompressed part of a V2 text.

    Raises:
        FluxError: the text is not V2 compressed base64.
    """
    try:
        outer = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FluxError(f"encoded histogram must be base64: {error}") from error
    if len(outer) < _OUTER.size or _OUTER.unpack_from(outer)[0] != _OUTER_COOKIE:
        raise FluxError(f"encoded histogram must start with HISTFAAA, got {text[:8]}")
    length = _OUTER.unpack_from(outer)[1]
    inflater = zlib.decompressobj()
    try:
        inner = inflater.decompress(outer[_OUTER.size : _OUTER.size + length], _LONGEST_INNER)
    except zlib.error as error:
        raise FluxError(f"encoded histogram must be whole: {error}") from error
    if not inflater.eof:
        raise FluxError("encoded histogram must be whole, got only a part of it")
    return inner


def decode_inner(inner: bytes) -> Histogram:
    """The histogram in the uncompressed part of a V2 text.

    Raises:
        FluxError: it is malformed, or its layout is not 1 µs with 3 digits.
    """
    digits, lowest, packed = _parts_of(inner)
    # The highest value only says how many counters there are; every index means the same.
    if (digits, lowest) != (layout.SIGNIFICANT_DIGITS, layout.LOWEST_US):
        raise FluxError(
            f"encoded histogram must have 3 digits and lowest value 1, got {digits} and {lowest}"
        )
    return Histogram.from_counts(_counts_in(packed, layout.COUNTS_LENGTH))


def decode_scaled(text: str, unit_ns: int) -> Histogram:
    """The histogram in a text of any HDR recorder, in flux's layout.

    Where the recorder's layout is another, a bucket's values are counted where its middle is.

    Args:
        text: V2 compressed base64, of 1 to 5 digits and any range.
        unit_ns: what a value of 1 is, nanoseconds.

    Raises:
        FluxError: the text is not such a histogram.
    """
    inner = inflate(text)
    digits, lowest, packed = _parts_of(inner)
    if (digits, lowest, unit_ns) == (layout.SIGNIFICANT_DIGITS, layout.LOWEST_US, 1000):
        return decode_inner(inner)
    counts = _counts_in(packed, _MOST_COUNTS)
    indexes = np.flatnonzero(counts)
    middles_ns = _middles(indexes, digits, lowest) * unit_ns
    inside_ns = np.minimum(middles_ns, float(layout.HIGHEST_NS)).astype(np.int64)
    scaled = np.zeros(layout.COUNTS_LENGTH, np.int64)
    np.add.at(scaled, layout.indexes_of(inside_ns), counts[indexes])
    return Histogram.from_counts(scaled)


def highest_value(text: str) -> int:
    """The largest value that the last bucket in a text holds, in the recorder's own unit.

    Raises:
        FluxError: the text is not such a histogram.
    """
    digits, lowest, packed = _parts_of(inflate(text))
    filled = np.flatnonzero(_counts_in(packed, _MOST_COUNTS))
    if not filled.size:
        return 0
    last = filled[-1:]
    return round(2 * float(_middles(last, digits, lowest)[0] - _lows(last, digits, lowest)[0])) + (
        int(_lows(last, digits, lowest)[0])
    )


def _middles(indexes: npt.NDArray[np.int64], digits: int, lowest: int) -> npt.NDArray[np.float64]:
    """The middle of the whole numbers that each counter of such a recorder holds."""
    _, width_log2 = _places(indexes, digits, lowest)
    middles: npt.NDArray[np.float64] = _lows(indexes, digits, lowest) + (2.0**width_log2 - 1) / 2
    return middles


def _lows(indexes: npt.NDArray[np.int64], digits: int, lowest: int) -> npt.NDArray[np.float64]:
    sub, width_log2 = _places(indexes, digits, lowest)
    return sub * 2.0**width_log2


def _places(
    indexes: npt.NDArray[np.int64], digits: int, lowest: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of each counter, how many steps from 0 it is, and the logarithm of a step; see `layout`."""
    half_log2 = math.ceil(math.log2(2 * 10**digits)) - 1
    doublings = np.maximum((indexes >> half_log2) - 1, 0)
    sub = indexes - (doublings << half_log2)
    return sub, doublings + int(math.log2(lowest))


def _parts_of(inner: bytes) -> tuple[int, int, bytes]:
    """Digits, lowest value and packed counts."""
    if len(inner) < _INNER.size:
        raise FluxError(f"encoded histogram must have {_INNER.size} bytes, got {len(inner)}")
    cookie, length, offset, digits, lowest, _, _ = _INNER.unpack_from(inner)
    if cookie != _INNER_COOKIE:
        raise FluxError(f"encoded histogram must have cookie {_INNER_COOKIE:#x}, got {cookie:#x}")
    if offset != 0 or not 0 <= digits <= 5 or lowest < 1:
        raise FluxError(
            "encoded histogram must have offset 0, up to 5 digits and a lowest value from 1, "
            f"got {offset}, {digits} and {lowest}"
        )
    return digits, lowest, inner[_INNER.size : _INNER.size + length]


def _with_runs(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts with each run of n > 1 zeros replaced by -n."""
    changes = np.flatnonzero(np.diff(counts != 0, prepend=False, append=False))
    # Filled stretches are [changes[0], changes[1]), [changes[2], changes[3]) and so on, so the
    # gaps are from 0 to the first of them, between them, and from the last to the end.
    edges = np.concatenate(([0], changes, [counts.size])).reshape(-1, 2)
    starts, lengths = edges[:, 0], edges[:, 1] - edges[:, 0]
    numbers = counts.copy()
    runs = lengths > 1
    numbers[starts[runs]] = -lengths[runs]
    # All of a gap but its first counter goes.
    inside = counts == 0
    inside[starts[lengths > 0]] = False
    kept: npt.NDArray[np.int64] = numbers[~inside]
    return kept


def _pack(numbers: npt.NDArray[np.int64]) -> bytes:
    zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    shifts = np.arange(0, 7 * _LONGEST, 7, dtype=np.uint64)
    groups = zigzag[:, np.newaxis] >> shifts
    more = groups[:, :-1] > 0x7F
    packed = groups.astype(np.uint8)
    packed[:, :-1] = (packed[:, :-1] & 0x7F) | (more.astype(np.uint8) << 7)
    written = np.ones(packed.shape, dtype=bool)
    written[:, 1:] = more
    return packed[written].tobytes()


def _counts_in(packed: bytes, most: int) -> npt.NDArray[np.int64]:
    counts: list[int] = []
    for number in _unpack(packed):
        if number < 0:
            # Bounded, so that a damaged run length cannot ask for all memory.
            counts.extend([0] * min(-number, most + 1))
        else:
            counts.append(number)
        if len(counts) > most:
            raise FluxError(f"encoded histogram must have at most {most} counts")
    return np.array(counts, dtype=np.int64)


def _unpack(packed: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in packed:
        if shift == 7 * (_LONGEST - 1):
            value |= byte << shift
        else:
            value |= (byte & 0x7F) << shift
            if byte & 0x80:
                shift += 7
                continue
        yield (value >> 1) ^ -(value & 1)
        value = shift = 0
    if shift:
        raise FluxError("encoded histogram must be whole, got only a part of a count")
