"""vegeta's CSV of results, from OUTCOME rows. Its JSON is `flux.rows.ndjson_format`.

The file has no place for what its latencies count from, but one for the headers of each answer,
which flux does not keep. So there is one header: `Flux-Basis: due` or `Flux-Basis: start`.

Source: vegeta, lib/results.go: twelve fields without a header.
"""

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, get_args

import attrs
import numpy as np

from flux.formats.clock_times import since_1970_ns
from flux.formats.facts import Facts
from flux.formats.row_text import Kinds
from flux.line_format import LineFormat, all_rows
from flux.rows import Basis, csv_field
from flux.schemas import ERROR_TEXTS, NOT_STARTED, Rows
from flux.text_columns import Words, constant, text_table, whole_numbers

FIELDS = (
    *("timestamp", "code", "latency", "bytes_out", "bytes_in", "error"),
    *("body", "attack", "seq", "method", "url", "headers"),
)
"""The fields, in order; the file does not name them."""


BASIS_HEADERS: Final[Mapping[Basis, str]] = MappingProxyType(
    {
        basis: base64.b64encode(f"Flux-Basis: {basis}\r\n\r\n".encode()).decode()
        for basis in get_args(Basis)
    }
)
"""What flux writes as the headers, by what latencies are counted from."""


def vegeta_csv_format(facts: Facts, basis: Basis) -> LineFormat:
    """Every row a line; the body is empty."""
    return LineFormat(b"", ((all_rows, _CsvLine(facts, basis).pieces),))


@attrs.frozen(eq=False)
class _CsvLine:
    _facts: Facts
    _basis: Basis

    def pieces(self, rows: Rows) -> list[Words]:
        comma, since_ns = constant(b","), rows[f"{self._basis}_ns"]
        headers = BASIS_HEADERS[self._basis]
        was_started = (rows["flags"] & int(NOT_STARTED)) == 0
        latencies_ns = (rows["end_ns"] - since_ns) * was_started
        started_ns = since_1970_ns(self._facts.started_at)
        steps = self._facts.steps or ("",)
        names = [csv_field(name).encode() for name in (*steps, steps[0])]
        errors = text_table([text.encode() for text in ERROR_TEXTS])
        requests = Kinds(
            self._facts,
            lambda kind: f"{csv_field(kind.method)},{csv_field(kind.url)},{headers}\n".encode(),
        )
        pieces: list[Words] = []
        for values in (
            since_ns + np.int64(started_ns),
            rows["status"],
            latencies_ns,
            rows["bytes_out"],
            rows["bytes_in"],
        ):
            pieces += [*whole_numbers(values), comma]
        pieces += [errors[rows["error"]], constant(b",,"), text_table(names)[rows["step"]], comma]
        return [*pieces, *whole_numbers(rows["seq"]), comma, requests.pieces(rows)]
