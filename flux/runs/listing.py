"""A line about each run: what `flux results list` prints, as data and as text."""

import datetime
from collections.abc import Iterator, Sequence

import attrs

from flux.console import format_count, format_duration, format_ns, format_share
from flux.errors import ExitCode, FluxError
from flux.result_file import Document
from flux.runs.folders import RunFolder, State


@attrs.frozen
class RunLine:
    """What a list says about a run; None for what is not known."""

    number: int | None
    name: str | None
    started_at: str | None
    duration_ns: int | None
    requests: int | None
    failed_share: float | None
    p99_ns: int | None
    """Of the response time, and only if there are enough requests."""
    verdict: str
    """What became of the run; see `State`."""
    thresholds_passed: int | None
    thresholds_missed: int | None
    exit_code: int | None
    folder: str

    @property
    def verdict_text(self) -> str:
        """The verdict, and beside that of a valid run what its thresholds and guards say."""
        told = [self.verdict]
        passed, missed = self.thresholds_passed or 0, self.thresholds_missed or 0
        if self.verdict == State.VALID and missed:
            told.append(f"{missed} of {passed + missed} thresholds missed")
        elif self.verdict == State.VALID and self.exit_code == ExitCode.THRESHOLDS_FAILED:
            told.append("thresholds missed")
        elif self.verdict == State.VALID and passed:
            told.append("thresholds passed")
        if self.exit_code == ExitCode.GUARD:
            told.append("ended by a guard")
        return ", ".join(told)


def run_line(run: RunFolder) -> RunLine:
    """The line of one run; a result that cannot be read leaves it without numbers."""
    try:
        result, state = run.result, str(run.state)
    except FluxError:
        result, state = None, "unreadable"
    name = run.session.get("name")
    return RunLine(
        number=run.number,
        name=str(name) if name is not None else None,
        started_at=run.started_at,
        duration_ns=result["run"]["duration_ns"] if result else None,
        requests=result["Total"] if result else None,
        failed_share=result["Failure"] / result["Total"] if result and result["Total"] else None,
        p99_ns=_p99_ns(result),
        verdict=state,
        thresholds_passed=_judged(result, passed=True),
        thresholds_missed=_judged(result, passed=False),
        exit_code=run.exit_code,
        folder=str(run.path),
    )


def _p99_ns(result: Document | None) -> int | None:
    response = result["latency"]["response"] if result else {"count": 0}
    return response["p99"] if response["count"] >= 100 else None


def _judged(result: Document | None, *, passed: bool) -> int | None:
    """How many thresholds did; those of a run that is not valid were not judged."""
    if result is None:
        return None
    return sum(one["passed"] is passed for one in result["thresholds"])


def table(lines: Sequence[RunLine]) -> Iterator[str]:
    """The lines as text, with a head."""
    yield _row("run", "name", "started", "duration", "requests", "failed", "p99", "verdict")
    for one in lines:
        yield _row(
            str(one.number if one.number is not None else one.folder),
            one.name or "-",
            _when(one.started_at),
            "-" if one.duration_ns is None else format_duration(one.duration_ns),
            "-" if one.requests is None else format_count(one.requests),
            "-" if one.failed_share is None else format_share(one.failed_share, 1),
            "-" if one.p99_ns is None else format_ns(one.p99_ns),
            one.verdict_text,
        )


def _row(*cells: str) -> str:
    number, name, started, *numbers, verdict = cells
    name = name if len(name) <= 20 else name[:19] + "…"
    return (
        f"{number:>4}  {name:<20}  {started:<16}"
        + "".join(f"{cell:>{width}}" for cell, width in zip(numbers, (12, 11, 9, 10)))
        + f"  {verdict}"
    )


def _when(text: str | None) -> str:
    if text is None:
        return "-"
    return datetime.datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
