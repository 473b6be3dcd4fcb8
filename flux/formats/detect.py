"""Which format a file has, by what stands in it: its name does not count."""

import csv
import json
import pathlib
from typing import Final, Literal, TypeAlias

import attrs

from flux.errors import FluxError
from flux.formats.line_blocks import open_file
from flux.formats.vegeta import FIELDS
from flux.result_file import SCHEMA_ID

HEAD_BYTES: Final = 1 << 16
"""As much of a file is looked at."""

Format: TypeAlias = Literal[
    "csv", "ndjson", "vegeta-json", "vegeta-csv", "k6-json", "k6-csv", "jtl",
    "hlog", "locust-history", "result",
]  # fmt: skip
"""What can be read."""

ROW_FORMATS: Final = frozenset(
    {"csv", "ndjson", "vegeta-json", "vegeta-csv", "k6-json", "k6-csv", "jtl"}
)
"""Those with a row per request."""

_HEADERS: Final[tuple[tuple[Format, frozenset[str]], ...]] = (
    ("csv", frozenset({"seq", "due_ns", "end_ns", "flags"})),
    ("k6-csv", frozenset({"metric_name", "timestamp", "metric_value"})),
    ("jtl", frozenset({"timeStamp", "elapsed", "label", "success"})),
    ("locust-history", frozenset({"Timestamp", "Name", "Total Request Count"})),
)
_KEYS: Final[tuple[tuple[Format, frozenset[str]], ...]] = (
    ("ndjson", frozenset({"seq", "due_ns", "end_ns", "flags"})),
    ("vegeta-json", frozenset({"code", "timestamp", "latency", "attack"})),
    ("k6-json", frozenset({"type", "data", "metric"})),
)
_READABLE: Final = (
    "flux reads its own rows and result.json, vegeta's JSON and CSV, k6's JSON and CSV, "
    "JTL as CSV, .hlog, and Locust's stats_history.csv"
)


@attrs.frozen
class Found:
    """What a file is."""

    format: Format
    columns: tuple[str, ...] = ()
    """Of CSV, its columns."""
    has_header: bool = False
    """Whether the first line names them."""


def detect(path: pathlib.Path) -> Found:
    """What a file is.

    Raises:
        FluxError: it cannot be read, or is nothing that flux can read.
    """
    with open_file(path) as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip():
        raise FluxError(f"{path} is empty")
    if head.startswith(b"PAR1"):
        raise FluxError(f"{path} is a Parquet file", hint=_READABLE)
    if b"\0" in head:
        hint = "if vegeta has written it: vegeta encode --to json"
        raise FluxError(f"{path} is no text", hint=hint)
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff")
    found = _of_json(text) if text.lstrip().startswith("{") else _of_lines(text)
    if found is None:
        first = text.partition("\n")[0][:60]
        raise FluxError(
            f"{path} has no format that flux knows: it begins {first!r}", hint=_READABLE
        )
    return found


def _of_json(text: str) -> Found | None:
    if f'"schema": "{SCHEMA_ID.rpartition("/")[0]}/' in text:
        return Found("result")
    try:
        first = json.loads(text.partition("\n")[0])
    except ValueError:
        return None
    for name, keys in _KEYS:
        if keys <= set(first):
            return Found(name)
    return None


def _of_lines(text: str) -> Found | None:
    first = text.partition("\n")[0]
    if first.startswith(("#[", '"StartTimestamp"')) or ",HISTFAAA" in first:
        return Found("hlog")
    (fields,) = csv.reader([first.rstrip("\r")])
    for name, columns in _HEADERS:
        if columns <= set(fields):
            return Found(name, tuple(fields), has_header=True)
    if len(fields) == len(FIELDS) and all(field.isdigit() for field in (*fields[:5], fields[8])):
        return Found("vegeta-csv", FIELDS)
    return None
