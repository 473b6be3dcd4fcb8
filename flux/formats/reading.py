"""What becomes known while a file of requests is read: names, times, errors and warnings.

Files of other tools are read into OUTCOME rows, as if flux had run them. What such a file does not
say is filled in plainly: a request is a session of its own, and was due when it started. Which of
the latencies then mean something is noted.
"""

import datetime
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

from flux.formats.blocks import Block
from flux.formats.clock_times import SECOND_NS, moment_of
from flux.formats.facts import Facts
from flux.formats.fields import Integers, TextCodes
from flux.formats.line_blocks import Notes
from flux.rows import Basis
from flux.schemas import ERROR_TEXTS, NOT_STARTED, OUTCOME, ErrorCode, Flag, Rows

MOST_STEPS: Final = 256
"""More names than these are one step together: of a file in which every URL is another name."""

MOST_ERRORS: Final = 100
"""The same for texts of errors."""

LONGEST_NS: Final = 31 * 24 * 3600 * SECOND_NS
"""What is further from the first row is no time of the same run."""

LATENCY_OF: Final[Mapping[Basis, str]] = MappingProxyType({"due": "response", "start": "service"})
"""What a latency that is counted from there is."""

_CODES: Final[Mapping[str, ErrorCode]] = MappingProxyType({code.text: code for code in ErrorCode})
_NOT_STARTED: Final[Mapping[ErrorCode, Flag]] = MappingProxyType(
    {ErrorCode[str(flag.name)]: flag for flag in Flag if flag & NOT_STARTED}
)


def _step_codes() -> TextCodes:
    return TextCodes(limit=MOST_STEPS)


def _error_codes() -> TextCodes:
    return TextCodes(("",), limit=MOST_ERRORS)


@attrs.define(eq=False)
class Reading:
    """What is known so far of a file that is being read."""

    path: pathlib.Path
    name: str = ""
    """Of the pipeline; empty if not known."""
    latencies: tuple[str, ...] = ()
    """Which latencies the file tells: names of `flux.summary.LATENCIES`."""
    resolution_ns: int = 1
    """To how many nanoseconds."""
    is_own: bool = False
    """Whether flux wrote it, as far as the file tells."""
    has_sessions: bool = False
    """Whether rows tell of sessions; if not, each request is one."""
    start_ns: int | None = None
    """Time of 0 ns in rows, nanoseconds since 1970."""
    zone: datetime.tzinfo = datetime.UTC
    """Of the file's wall-clock times."""
    steps: TextCodes = attrs.field(factory=_step_codes)
    """Names of steps."""
    requests: dict[int, tuple[str, str]] = attrs.field(factory=dict)
    """Method and path of steps, as far as the file tells."""
    targets: TextCodes = attrs.field(factory=lambda: TextCodes(limit=MOST_STEPS))
    target_urls: dict[int, str] = attrs.field(factory=dict)
    error_codes: TextCodes = attrs.field(factory=_error_codes)
    errors: Counter[tuple[int, int, str]] = attrs.field(factory=Counter)
    """Failed requests by step, error code and the file's own words, if those are not flux's."""
    rows: int = 0
    """Rows read so far."""
    notes: Notes = attrs.field(factory=Notes)
    """What a reader has to know."""

    def facts(self) -> Facts:
        """What the rows' numbers stand for, as far as is known now."""
        steps, targets = tuple(self.steps.texts), tuple(self.targets.texts) or ("",)
        return Facts(
            name=self.name,
            started_at=moment_of(self.start_ns or 0).astimezone(self.zone),
            steps=steps,
            requests=tuple(self.requests.get(number, ("", "")) for number in range(len(steps))),
            targets=targets,
            target_urls=tuple(self.target_urls.get(number, "") for number in range(len(targets))),
            bases=tuple(
                basis for basis, latency in LATENCY_OF.items() if latency in self.latencies
            ),
        )

    def since_start(self, block: Block, times_ns: Integers) -> Integers:
        """Times of a block on the rows' clock, which begins with the earliest of the first block.

        Args:
            block: in which they stand, to name the row that is wrong.
            times_ns: (n,) int64, nanoseconds since 1970.
        """
        if self.start_ns is None and times_ns.size:
            is_near = np.abs(times_ns - times_ns[0]) <= LONGEST_NS
            self.start_ns = int(times_ns[is_near].min())
        since_ns: Integers = times_ns - (self.start_ns or 0)
        if (np.abs(since_ns) > LONGEST_NS).any():
            row = int(np.flatnonzero(np.abs(since_ns) > LONGEST_NS)[0])
            days = since_ns[row] / (24 * 3600 * SECOND_NS)
            raise block.broken(row, f"must be of the run's own time, is {days:.0f} days off")
        return since_ns

    def learn_requests(
        self,
        block: Block,
        steps: Integers,
        targets: Integers | None = None,
        *,
        method: str = "method",
        url: str = "url",
    ) -> None:
        """Note method and URL of each step, and where each target is, when they first come up.

        Args:
            block: has them.
            steps: (n,) the step of each row.
            targets: (n,) the target of each row; None if the file knows of none.
            method: the column of the method.
            url: the column of the URL.
        """
        new = [row for step, row in _firsts(steps) if step not in self.requests]
        if targets is not None:
            new += [row for target, row in _firsts(targets) if target not in self.target_urls]
        for row in new:
            if steps[row] < 0:
                continue
            target = None if targets is None else int(targets[row])
            self.learn_request(
                int(steps[row]), block.text(method, row), block.text(url, row), target
            )

    def learn_request(self, step: int, method: str, url: str, target: int | None = None) -> None:
        """Note a step's method and URL; of a target, what stands before the paths."""
        if target is None:
            self.requests.setdefault(step, (method, url))
            return
        before, path = _split(url)
        self.requests.setdefault(step, (method, path))
        self.target_urls.setdefault(target, before)

    def durations(self, block: Block, name: str, unit_ns: int = 1) -> Integers:
        """A column of durations, nanoseconds.

        Raises:
            BrokenFile: one is negative, or longer than any run.
        """
        values = block.integers(name)
        is_wrong = (values < 0) | (values > LONGEST_NS // unit_ns)
        if is_wrong.any():
            row = int(np.flatnonzero(is_wrong)[0])
            rule = "must not be negative" if values[row] < 0 else "is longer than a month"
            raise block.broken(row, f"has {name} {values[row]}, which {rule}")
        return values * np.int64(unit_ns)

    def outcomes(
        self,
        steps: Integers,
        *,
        start_ns: Integers,
        end_ns: Integers,
        statuses: Integers,
        errors: Integers,
        is_success: npt.NDArray[np.bool_],
    ) -> Rows:
        """Rows of another tool's requests, with what it does not tell filled in; still writable.

        Args:
            steps: (n,) numbers of `self.steps`.
            start_ns: (n,) when each started, on the rows' clock.
            end_ns: (n,) when it ended.
            statuses: (n,) 0 where there was no response.
            errors: (n,) numbers of `self.error_codes`.
            is_success: (n,) whether it succeeded.
        """
        count = len(steps)
        rows = OUTCOME.empty(count)
        rows["seq"] = rows["session"] = self.rows + np.arange(count)
        self.rows += count
        rows["step"], rows["status"] = steps, np.clip(statuses, 0, 2**31 - 1)
        rows["due_ns"] = rows["start_ns"] = start_ns
        rows["end_ns"] = np.maximum(end_ns, start_ns)
        known = np.array([_CODES.get(text, -1) for text in self.error_codes.texts])[errors]
        other = np.where(statuses > 0, int(ErrorCode.STATUS), int(ErrorCode.OTHER))
        rows["error"] = np.where(is_success, 0, np.where(known > 0, known, other))
        success = int(Flag.SUCCESS | Flag.SESSION_SUCCESS)
        rows["flags"] = int(Flag.FIRST | Flag.LAST) | np.where(is_success, success, 0)
        rows["flags"][rows["error"] == int(ErrorCode.ABORTED)] |= int(Flag.ABORTED)
        for code, flag in _NOT_STARTED.items():
            is_it = (rows["error"] == int(code)) & (statuses == 0)
            rows["flags"][is_it] = int(flag)
            rows["step"][is_it] = -1
        self._count_errors(rows, errors, known)
        return rows

    def _count_errors(self, rows: Rows, errors: Integers, known: Integers) -> None:
        """Keep the file's own words, where they are not flux's."""
        foreign = (rows["error"] != 0) & (known <= 0) & (rows["step"] >= 0)
        if not foreign.any():
            return
        keys = rows["step"][foreign].astype(np.int64) * (MOST_ERRORS + 1) + errors[foreign]
        keys = keys * len(ERROR_TEXTS) + rows["error"][foreign]
        for key, count in zip(*(one.tolist() for one in np.unique(keys, return_counts=True))):
            rest, code = divmod(key, len(ERROR_TEXTS))
            step, number = divmod(rest, MOST_ERRORS + 1)
            text = self.error_codes.texts[number] or ERROR_TEXTS[code]
            self.errors[step, code, text] += count


def _firsts(numbers: Integers) -> Iterator[tuple[int, int]]:
    """Each number from 0 on, with the first row that has it."""
    seen, rows = np.unique(numbers, return_index=True)
    return ((number, row) for number, row in zip(seen.tolist(), rows.tolist()) if number >= 0)


def _split(url: str) -> tuple[str, str]:
    """What stands before the path, and the path."""
    host = url.find("://") + 3
    slash = url.find("/", host) if host > 2 else -1
    return (url[:slash], url[slash:]) if slash > 0 else ("", url)
