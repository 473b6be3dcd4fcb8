"""OUTCOME rows as Parquet: the columns of `csv`, with texts as dictionaries.

pyarrow is asked for here and nowhere else; it is the extra `parquet`.
"""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np

from flux.errors import MissingExtra
from flux.formats.clock_times import since_1970_ns
from flux.formats.facts import Facts
from flux.schemas import ERROR_TEXTS, OUTCOME, Flag, Rows

ROWS_PER_GROUP = 1 << 16
"""Rows that are compressed together: a column of them is some hundred kilobytes."""


def load_pyarrow() -> Any:
    """The modules pyarrow and pyarrow.parquet, as one.

    Raises:
        MissingExtra: they are not installed.
    """
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise MissingExtra("Parquet", extra="parquet") from None


class ParquetWriter:
    """A Parquet file that is being written; it can be read once it is closed."""

    def __init__(self, stream: IO[bytes] | str) -> None:
        """Begin a file.

        Args:
            stream: where it goes, or the path of a file.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        self._arrow = load_pyarrow()
        fields = [*((name, self._type(name)) for name in OUTCOME.columns)]
        fields.append(("timestamp", self._arrow.timestamp("ns", tz="UTC")))
        self._schema = self._arrow.schema(fields)
        self._writer = self._arrow.parquet.ParquetWriter(
            stream, self._schema, compression="zstd", version="2.6"
        )

    def write_all(self, batches: Sequence[Rows], facts: Facts) -> None:
        """Write some batches as one group.

        Args:
            batches: of OUTCOME.
            facts: what their numbers stand for.
        """
        if batches:
            self._write(np.concatenate(batches), facts)

    def _write(self, rows: Rows, facts: Facts) -> None:
        columns = {name: np.ascontiguousarray(rows[name]) for name in OUTCOME.columns}
        arrays = {name: self._arrow.array(column) for name, column in columns.items()}
        arrays["step"] = self._words(columns["step"], facts.steps)
        arrays["target"] = self._words(columns["target"], (*facts.targets, ""))
        arrays["error"] = self._words(columns["error"] - 1, ERROR_TEXTS[1:])
        seen, which = np.unique(columns["flags"], return_inverse=True)
        arrays["flags"] = self._words(which, [_flag_text(value) for value in seen.tolist()])
        times_ns = columns["due_ns"].astype(np.int64) + since_1970_ns(facts.started_at)
        arrays["timestamp"] = self._arrow.array(times_ns.view("datetime64[ns]"))
        table = self._arrow.table(
            [arrays[name].cast(self._schema.field(name).type) for name in self._schema.names],
            schema=self._schema,
        )
        self._writer.write_table(table)

    def close(self) -> None:
        """Write what makes it a Parquet file: where its columns are."""
        self._writer.close()

    def _type(self, name: str) -> Any:
        if name in ("step", "target", "error", "flags"):
            return self._arrow.dictionary(self._arrow.int32(), self._arrow.string())
        return self._arrow.from_numpy_dtype(OUTCOME.dtype[name])  # type: ignore[index]  # has one

    def _words(self, numbers: Any, texts: Any) -> Any:
        """Texts by their numbers; of -1, null."""
        codes = self._arrow.array(numbers.astype(np.int32), mask=numbers < 0)
        return self._arrow.DictionaryArray.from_arrays(
            codes, self._arrow.array(list(texts), self._arrow.string())
        )


@contextlib.contextmanager
def open_parquet(stream: IO[bytes]) -> Iterator[ParquetWriter]:
    """A file that is written within the block, and whole after it.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    writer = ParquetWriter(stream)
    try:
        yield writer
    except BaseException:
        # What is left open, pyarrow closes itself when it is collected, into a stream that is not
        # there any more; nobody wants the file, so what goes wrong here is of no interest.
        with contextlib.suppress(OSError, ValueError):
            writer.close()
        raise
    writer.close()


def _flag_text(value: int) -> str:
    return "|".join(str(flag.name).lower() for flag in Flag if flag & value)
