"""JMeter's JTL as CSV, from OUTCOME rows.

Source: JMeter, CSVSaveService and the default `jmeter.save.saveservice.*` properties.
"""

import http
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from flux.formats.clock_times import since_1970_ns
from flux.formats.facts import Facts
from flux.formats.row_text import Kind, Kinds, requests_only, rounded_ms
from flux.line_format import LineFormat
from flux.rows import Basis, csv_field
from flux.schemas import ErrorCode, Rows
from flux.text_columns import Words, constant, whole_numbers

COLUMNS = (
    *("timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName"),
    *("dataType", "success", "failureMessage", "bytes", "sentBytes", "grpThreads", "allThreads"),
    *("URL", "Latency", "IdleTime", "Connect"),
)
"""In the order in which JMeter expects them."""

NO_RESPONSE = "Non HTTP response code: "
NO_MESSAGE = "Non HTTP response message: "
"""Stand before the reason where there was no response, as in JMeter."""

THREAD_GROUPS: Final[Mapping[Basis, str]] = MappingProxyType(
    {"due": "flux-due", "start": "flux-start"}
)
"""Names of the thread groups: they tell what the times are counted from."""


def jtl_format(facts: Facts, basis: Basis) -> LineFormat:
    """A line per request; arrivals that were never started have none."""
    header = ",".join(COLUMNS).encode() + b"\n"
    return LineFormat(header, ((requests_only, _Line(facts, basis).pieces),))


@attrs.frozen(eq=False)
class _Line:
    _facts: Facts
    _basis: Basis

    def pieces(self, rows: Rows) -> Iterator[Words]:
        comma, since_ns = constant(b","), rows[f"{self._basis}_ns"]
        has_response = rows["first_byte_ns"] > 0
        yield from rounded_ms(since_ns + since_1970_ns(self._facts.started_at))
        yield comma
        yield from rounded_ms(rows["end_ns"] - since_ns)
        group = THREAD_GROUPS[self._basis]
        yield Kinds(self._facts, lambda kind: _before_thread(kind, group)).pieces(rows)
        yield from whole_numbers(rows["session"] + 1)
        yield Kinds(self._facts, _after_thread).pieces(rows)
        yield from whole_numbers(rows["bytes_in"])
        yield comma
        yield from whole_numbers(rows["bytes_out"])
        yield constant(b",0,0,")
        yield Kinds(self._facts, lambda kind: csv_field(kind.url).encode()).pieces(rows)
        yield comma
        yield from rounded_ms((rows["first_byte_ns"] - since_ns) * has_response)
        yield constant(b",0,")
        yield from rounded_ms(rows["connect_ns"] + rows["tls_ns"])
        yield constant(b"\n")


def _before_thread(kind: Kind, group: str) -> bytes:
    reason = ErrorCode(kind.error).text
    code = str(kind.status) if kind.status else NO_RESPONSE + reason
    message = _phrase(kind.status) if kind.status else NO_MESSAGE + reason
    fields = (csv_field(kind.step), code, message, f"{group} 1-")
    return ("," + ",".join(fields)).encode()


def _after_thread(kind: Kind) -> bytes:
    success = "true" if kind.is_success else "false"
    return f",text,{success},{ErrorCode(kind.error).text},".encode()


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
