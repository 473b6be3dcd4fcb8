"""Which format a file has, by what stands in it: its name does not count."""

import csv
import json
import pathlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import attrs

from flux.errors import FluxError
from flux.formats.line_blocks import read_head
from flux.formats.vegeta import FIELDS
from flux.result_file import SCHEMA_ID

Format: TypeAlias = Literal[
    "csv", "ndjson", "vegeta-json", "vegeta-csv", "k6-json", "k6-csv", "jtl",
    "hlog", "locust-history", "result", "k6-summary", "vegeta-report", "hgrm", "wrk",
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
    ("vegeta-report", frozenset({"latencies", "requests", "rate", "status_codes"})),
    ("k6-summary", frozenset({"metrics", "root_group"})),
    ("k6-summary", frozenset({"metrics", "state"})),
)
_WHO: Final[Mapping[Format, str]] = MappingProxyType(
    {
        "csv": "flux's own rows",
        "k6-csv": "k6's CSV",
        "jtl": "a JTL",
        "locust-history": "Locust's stats_history.csv",
        "ndjson": "flux's own rows",
        "vegeta-json": "vegeta's JSON",
        "k6-json": "k6's JSON",
        "vegeta-report": "vegeta's JSON report",
        "k6-summary": "k6's summary",
    }
)
_READABLE: Final = (
    "flux reads its own rows and result.json, vegeta's JSON and CSV, k6's JSON, CSV and summary, "
    "JTL as CSV, .hlog, .hgrm, wrk's text, and Locust's stats_history.csv"
)
_UNPACK: Final = "unpack it, as in `zstdcat FILE | flux report -`"
_BINARIES: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"PAR1", "a Parquet file", _READABLE),
    (b"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", _UNPACK),
    (b"\xfd7zXZ\0", "packed by xz", _UNPACK.replace("zstdcat", "xzcat")),
    (b"BZh", "packed by bzip2", _UNPACK.replace("zstdcat", "bzcat")),
    (b"PK\3\4", "a zip file", _UNPACK.replace("zstdcat", "unzip -p")),
)
"""How files begin that are no text, what they are, and what to do about it."""

_LOCUST_STATS: Final = frozenset({"Type", "Name", "Request Count"})
_JTL_COLUMNS: Final = (16, 17)  # of one whose header was turned off


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
    head = read_head(path)
    if not head.strip():
        raise FluxError(f"{path} is empty")
    for magic, what, hint in _BINARIES:
        if head.startswith(magic):
            raise FluxError(f"{path} is {what}", hint=hint)
    # After the last whole line there may be zeros, if the machine went down while it was written.
    if b"\0" in (head[: head.rfind(b"\n") + 1] or head):
        hint = "if vegeta has written it: vegeta encode --to json"
        raise FluxError(f"{path} is no text", hint=hint)
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff")
    found = _of_json(path, text) if text.lstrip().startswith("{") else _of_lines(path, text)
    if found is None:
        first = text.lstrip().partition("\n")[0][:60]
        raise FluxError(
            f"{path} has no format that flux knows: it begins {first!r}", hint=_READABLE
        )
    return found


def _of_json(path: pathlib.Path, text: str) -> Found | None:
    if f'"schema": "{SCHEMA_ID.rpartition("/")[0]}/' in text:
        return Found("result")
    try:
        first = json.loads(text.lstrip().partition("\n")[0])
    except ValueError:
        first = _keys_at_the_top(text)
    for name, keys in _KEYS:
        if keys <= set(first):
            return Found(name)
    _refuse_near_miss(path, first, _KEYS, "key")
    return None


def _keys_at_the_top(text: str) -> Mapping[str, Any]:
    """Of JSON over several lines, as far as it goes, the keys with the least indentation."""
    lines = [line for line in text.splitlines() if line.lstrip().startswith('"')]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    least = min(indents, default=0)
    found = (line.split('"')[1] for line, indent in zip(lines, indents) if indent == least)
    return dict.fromkeys(found) if least else {}


def _of_lines(path: pathlib.Path, text: str) -> Found | None:
    first = text.partition("\n")[0].rstrip("\r")
    if first.startswith(("#[", '"StartTimestamp"')) or ",HISTFAAA" in first:
        return Found("hlog")
    if first.split()[:3] == ["Value", "Percentile", "TotalCount"]:
        return Found("hgrm")
    if "\n  Thread Stats" in text and first.startswith("Running "):
        return Found("wrk")
    try:
        (fields,) = csv.reader([first])
    except (csv.Error, ValueError):
        return None
    for name, columns in _HEADERS:
        if columns <= set(fields):
            return Found(name, tuple(fields), has_header=True)
    if len(fields) == len(FIELDS) and all(field.isdigit() for field in (*fields[:5], fields[8])):
        return Found("vegeta-csv", FIELDS)
    _refuse_other_files(path, first, fields)
    _refuse_near_miss(path, fields, _HEADERS, "column")
    return None


def _refuse_other_files(path: pathlib.Path, first: str, fields: list[str]) -> None:
    """What a tool that flux knows writes beside what flux reads."""
    if first.lstrip().startswith(("<?xml", "<testResults")):
        hint = "jmeter -Jjmeter.save.saveservice.output_format=csv writes CSV"
        raise FluxError(f"{path} is XML: flux reads a JTL as CSV", hint=hint)
    if len(fields) in _JTL_COLUMNS and fields[7] in ("true", "false") and fields[0].isdigit():
        hint = "put the line timeStamp,elapsed,label,… before it, or have JMeter write it: "
        hint += "jmeter.save.saveservice.print_field_names=true"
        raise FluxError(f"{path} is a JTL without the names of its columns", hint=hint)
    if set(fields) >= _LOCUST_STATS:
        hint = "give the file that ends in _stats_history.csv"
        raise FluxError(f"{path} is Locust's table of statistics, which has no times", hint=hint)


def _refuse_near_miss(
    path: pathlib.Path,
    given: Iterable[str],
    candidates: Iterable[tuple[Format, frozenset[str]]],
    what: str,
) -> None:
    """A file that has most of what makes a format lacks something: that is to be said."""
    have = set(given)
    for name, needed in candidates:
        missing = sorted(needed - have)
        if len(needed & have) * 2 > len(needed) and missing:
            kind = what if len(missing) == 1 else f"{what}s"
            raise FluxError(
                f"{path} looks like {_WHO[name]}, but has no {kind} {', '.join(missing)}"
            )
