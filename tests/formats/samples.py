"""A small run with a bit of everything, and how to write its rows in each format."""

import datetime
import pathlib

from flux.formats.facts import Facts
from flux.formats.row_formats import LINE_FORMATS
from flux.rows import Basis
from flux.schemas import ErrorCode, Flag, Rows
from tests.outcomes import as_rows, not_started, request

STARTED_AT = datetime.datetime(2026, 11, 21, 10, 0, 0, 123_456, tzinfo=datetime.UTC)
FACTS = Facts(
    name="checkout",
    started_at=STARTED_AT,
    steps=("login", 'list, "all"', "buy"),
    requests=(("POST", "/login"), ("GET", "/list?a=1,2"), ("POST", "/buy/{{random.uuid}}")),
    targets=("blue", "green"),
    target_urls=("http://blue:8080", "https://green"),
)
GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "formats"
MS = 10**6

_OK = Flag.FIRST | Flag.SUCCESS
_LAST_OK = Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS


def sample_rows() -> Rows:
    """Two sessions of three steps, a timeout, a reset, and arrivals that were never started."""
    return as_rows(
        [
            request(
                100 * MS, 112 * MS + 345_678, _OK | Flag.NEW_CONNECTION, start_ns=100 * MS + 51_203,
                first_byte_ns=112 * MS, connect_ns=104_220, tls_ns=2_300_000, bytes_out=57,
                bytes_in=41,
            ),
            request(
                112 * MS + 345_678, 115 * MS, Flag(0), step=1, status=503, bytes_in=12, target=1,
                error=ErrorCode.STATUS,
            ),
            request(115 * MS, 116 * MS + 999, _LAST_OK, step=2, status=201, bytes_out=1000),
            not_started(900 * MS, Flag.DROPPED) | {"seq": 1, "session": 1},
            request(
                150 * MS, 1150 * MS, Flag.FIRST | Flag.LAST, seq=2, session=2, start_ns=151 * MS,
                status=0, first_byte_ns=0, error=ErrorCode.TIMEOUT, target=1,
            ),
            request(
                1200 * MS, 1300 * MS, Flag.FIRST | Flag.LAST | Flag.ABORTED, seq=3, session=3,
                status=0, first_byte_ns=0, error=ErrorCode.ABORTED,
            ),
            not_started(2000 * MS, Flag.CANCELLED) | {"seq": 4, "session": 4},
            request(2100 * MS, 2104 * MS, _OK | _LAST_OK, seq=5, session=5, retries=1),
        ]
    )  # fmt: skip


def text_of(form: str, rows: Rows, *, facts: Facts = FACTS, basis: Basis = "due") -> bytes:
    """All of a file of rows."""
    line_format = LINE_FORMATS[form](facts, basis)
    return line_format.header + bytes(line_format.lines(rows))


def write_sample(folder: pathlib.Path, form: str, basis: Basis = "due") -> pathlib.Path:
    """A file with the sample rows."""
    file = folder / "rows"
    file.write_bytes(text_of(form, sample_rows(), basis=basis))
    return file
