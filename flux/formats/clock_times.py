"""Wall-clock times of RFC 3339, to the nanosecond and of any zone, as nanoseconds since 1970."""

import datetime
import re

import numpy as np

from flux.formats.fields import Fields, Integers, NotANumber, TextCodes

SECOND_NS = 10**9

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_TIME = re.compile(r"(.{10}[Tt ].{8})(?:\.(\d{1,9})\d*)?(Z|z|[+-]\d\d:\d\d)", re.ASCII)
_DATE_BYTES = len("2026-11-21T10:00:00")


def epoch_ns(text: str) -> int:
    """The time that a text names.

    Raises:
        ValueError: it names none.
    """
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        whole = datetime.datetime.fromisoformat(match[1] + match[3].upper())
    except ValueError:
        raise ValueError(f"must be a time (RFC 3339), got {text!r}") from None
    seconds = (whole - _EPOCH) // datetime.timedelta(seconds=1)
    return seconds * SECOND_NS + int((match[2] or "0").ljust(9, "0"))


def epoch_ns_of_fields(fields: Fields) -> Integers:
    """The time of each field: (n,) int64, nanoseconds since 1970.

    Whole seconds and zones are few: each is looked at once. Only fractions are read row by row.

    Raises:
        NotANumber: a field is no time.
    """
    is_utc = fields.last_bytes() == ord("Z")
    zone_starts = fields.ends - np.where(is_utc, 1, len("+00:00"))
    date_ends = fields.starts + _DATE_BYTES
    if (zone_starts < date_ends).any():
        row = int(np.flatnonzero(zone_starts < date_ends)[0])
        raise NotANumber(row, fields.text(row))
    # The seconds of a date in a zone: two small tables, whose numbers together are a third.
    dates, zones = TextCodes(), TextCodes()
    date_codes = dates.numbers(fields.part(fields.starts, date_ends))
    zone_codes = zones.numbers(fields.part(zone_starts, fields.ends))
    pairs = date_codes * len(zones.texts) + zone_codes
    seen, firsts, which = np.unique(pairs, return_index=True, return_inverse=True)
    seconds_ns = np.zeros(len(seen), np.int64)
    for place, row in enumerate(firsts.tolist()):
        date, zone = divmod(int(seen[place]), len(zones.texts))
        try:
            seconds_ns[place] = epoch_ns(dates.texts[date] + zones.texts[zone])
        except (ValueError, OverflowError):
            raise NotANumber(row, fields.text(row)) from None
    fractions = fields.part(np.minimum(date_ends + 1, zone_starts), zone_starts)
    digits = np.minimum(fractions.lengths, 9)
    fraction_ns = fractions.part(fractions.starts, fractions.starts + digits).integers()
    times_ns: Integers = seconds_ns[which] + fraction_ns * 10 ** (9 - digits)
    return times_ns


def since_1970_ns(moment: datetime.datetime) -> int:
    """Exactly: a float of seconds since 1970 is good to a quarter of a microsecond only."""
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1) * 1000


def moment_of(time_ns: int) -> datetime.datetime:
    """The moment in UTC, to the microsecond below."""
    return _EPOCH + datetime.timedelta(microseconds=time_ns // 1000)
