"""Reading requests of vegeta and JMeter into OUTCOME rows.

Source: vegeta, lib/results.go. JMeter, CSVSaveService.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from flux.formats.blocks import Block
from flux.formats.fields import Integers, TextCodes
from flux.formats.jtl import THREAD_GROUPS
from flux.formats.reading import LATENCY_OF, Reading
from flux.formats.vegeta import BASIS_HEADERS
from flux.rows import Basis
from flux.schemas import Rows, read_only

MILLISECOND_NS: Final = 10**6


def vegeta_rows(
    reading: Reading,
    blocks: Iterator[Block],
    basis: Basis | None,
    times_ns: Callable[[Block], Integers],
) -> Iterator[Rows]:
    """The results of an attack.

    One succeeded if it has no error: vegeta gives one to every status but 200 to 399.

    Args:
        reading: is told what the file tells.
        blocks: with vegeta's names.
        basis: what the latencies are counted from, if flux has not said so in the file.
        times_ns: the column `timestamp`, as nanoseconds since 1970.
    """
    for block in blocks:
        if not reading.latencies:
            headers = block.text("headers", 0) if len(block) else ""
            basis = _known_basis(reading, BASIS_HEADERS, headers) or basis or "start"
            reading.latencies = (LATENCY_OF[basis],)
        start_ns = reading.since_start(block, times_ns(block))
        errors = block.codes("error", reading.error_codes)
        steps = block.codes("attack", reading.steps)
        rows = reading.outcomes(
            steps,
            start_ns=start_ns,
            end_ns=start_ns + reading.durations(block, "latency"),
            statuses=block.integers("code"),
            errors=errors,
            is_success=errors == 0,
        )
        reading.learn_requests(block, steps)
        rows["bytes_out"] = block.integers("bytes_out")
        rows["bytes_in"] = block.integers("bytes_in")
        yield read_only(rows)


def jtl_rows(reading: Reading, blocks: Iterator[Block], basis: Basis | None) -> Iterator[Rows]:
    """The samples of a JTL; one of flux itself says what its times are counted from."""
    reading.resolution_ns = MILLISECOND_NS
    codes = _Statuses()
    for block in blocks:
        if not reading.latencies:
            group = block.text("threadName", 0).partition(" ")[0] if len(block) else ""
            basis = _known_basis(reading, THREAD_GROUPS, group) or basis or "start"
            # Until the response began is counted from there, too: of a request that was due, it is
            # not what flux calls by that name. And which requests opened a connection is not told:
            # of those that took less than half a millisecond for it, JMeter says 0 as well.
            others = ("first_byte",) if basis == "start" else ()
            reading.latencies = (LATENCY_OF[basis], *others)
        yield read_only(_jtl_rows(reading, block, codes))


def _known_basis(reading: Reading, marks: Mapping[Basis, str], found: str) -> Basis | None:
    """What flux says in a file of its own that latencies count from; None if it is another's."""
    basis = next((basis for basis, mark in marks.items() if mark == found), None)
    reading.is_own = basis is not None
    return basis


def _jtl_rows(reading: Reading, block: Block, codes: "_Statuses") -> Rows:
    start_ns = reading.since_start(block, block.integers("timeStamp") * MILLISECOND_NS)
    statuses = codes.statuses(block)
    is_success = _is_true(block, "success")
    errors = np.zeros(len(block), np.int64)
    for name in ("responseCode", "responseMessage", "failureMessage"):  # the last that says it
        said = block.codes(name, reading.error_codes)
        errors = np.where(~is_success & (said != 0), said, errors)
    steps = block.codes("label", reading.steps)
    rows = reading.outcomes(
        steps,
        start_ns=start_ns,
        end_ns=start_ns + reading.durations(block, "elapsed", MILLISECOND_NS),
        statuses=statuses,
        errors=errors,
        is_success=is_success,
    )
    reading.learn_requests(block, steps, method="", url="URL")
    first_byte_ns = reading.durations(block, "Latency", MILLISECOND_NS)
    rows["first_byte_ns"] = np.where(first_byte_ns > 0, start_ns + first_byte_ns, 0)
    rows["connect_ns"] = reading.durations(block, "Connect", MILLISECOND_NS)
    rows["bytes_in"] = block.integers("bytes")
    rows["bytes_out"] = block.integers("sentBytes")
    return rows


class _Statuses:
    """Response codes as numbers; what is none, as that of an exception, is 0."""

    def __init__(self) -> None:
        self._codes = TextCodes(limit=1000)

    def statuses(self, block: Block) -> Integers:
        """(n,) int64."""
        codes = block.codes("responseCode", self._codes)
        texts = self._codes.texts
        numbers = [int(text) if text.isascii() and text.isdigit() else 0 for text in texts]
        return np.array(numbers, np.int64)[codes]


def _is_true(block: Block, name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    seen = TextCodes(limit=100)
    codes = block.codes(name, seen)
    return np.array([text.lower() == "true" for text in seen.texts])[codes]
