"""What makes a difference too much: `p99 > +5%`, and whether it was. Pure.

A limit is missed when the difference is beyond it and the confidence interval excludes that there
is none: chance alone fails no build. Where there are too few values nothing is said.
"""

import re
from collections.abc import Sequence
from typing import Literal

import attrs

from flux.compare.comparison import Comparison, Difference
from flux.compare.figures import FIGURES, TIMES
from flux.config.problems import did_you_mean
from flux.errors import ExitCode, UsageError
from flux.formats.recording import TOTAL

_LIMIT = re.compile(
    r"(?:(?P<step>.+):)?\s*(?:(?P<latency>response|service)\.)?(?P<figure>\w+)\s*"
    r"(?P<sign>[<>])\s*(?P<percent>[+-]?\d+(?:\.\d+)?)\s*%?"
)

Judgement = Literal["passed", "missed", "too few", "no interval"]


@attrs.frozen
class Limit:
    """How much more, or less, a figure may be than the baseline's."""

    text: str
    """As written."""
    step: str | None
    """None: all steps together."""
    latency: str
    figure: str
    is_upper: bool
    """True: the difference must not be above `share`; else not below."""
    share: float
    """0.05 is 5 %; of errors, points of their share."""

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Read one.

        Raises:
            UsageError: it is none.
        """
        match = _LIMIT.fullmatch(text.strip())
        hint = f'as in "p99 > +5%", "login:p95 > 10%" or "rate < -5%"; there are {_NAMES}'
        if match is None:
            raise UsageError(
                f"a limit must be a figure, > or <, and per cent, got {text!r}", hint=hint
            )
        figure = match["figure"]
        if figure not in FIGURES:
            hint = did_you_mean(figure, FIGURES) or hint
            raise UsageError(f"a limit must be of a figure, got {figure!r} in {text!r}", hint=hint)
        return cls(
            text=text,
            step=match["step"],
            latency=match["latency"] or "response",
            figure=figure,
            is_upper=match["sign"] == ">",
            share=float(match["percent"]) / 100,
        )

    def judge(self, difference: Difference) -> Judgement:
        """Whether a difference keeps to it."""
        interval = difference.interval
        if interval is None:
            return "no interval" if difference.certainty == "no interval" else "too few"
        beyond = interval.difference - self.share
        is_beyond = beyond > 0 if self.is_upper else beyond < 0
        return "missed" if is_beyond and interval.excludes_zero else "passed"


_NAMES = ", ".join(FIGURES)


@attrs.frozen
class Verdict:
    """What came of one limit in one comparison."""

    limit: Limit
    run: str
    """Which run was held against it."""
    judgement: Judgement
    difference: Difference


def judge(limits: Sequence[Limit], comparisons: Sequence[Comparison]) -> list[Verdict]:
    """Hold every run but the baseline against every limit.

    Raises:
        UsageError: a limit is about a step that the runs have not in common, or about a figure that
            one of them does not tell.
    """
    return [
        Verdict(limit, one.theirs.name, limit.judge(found), found)
        for one in comparisons
        for limit in limits
        for found in [_find(limit, one)]
    ]


def _find(limit: Limit, comparison: Comparison) -> Difference:
    names = list(dict.fromkeys(one.step for one in comparison.differences))
    # One step alone is all steps together.
    step = limit.step or (TOTAL if TOTAL in names else names[0])
    found = comparison.find(step, limit.latency, limit.figure)
    if step in names and (found is None or found.without == "value"):
        raise _not_told(limit, comparison, step)
    if found is None:
        hint = did_you_mean(step, names) or f"there are {', '.join(names)}"
        raise UsageError(f"no step {step!r} is in both runs, as {limit.text!r} has it", hint=hint)
    return found


def _not_told(limit: Limit, comparison: Comparison, step: str) -> UsageError:
    """Nobody can hold a run against a figure that is not there."""
    figure, runs = limit.figure, (comparison.ours, comparison.theirs)
    blind = [one.name for one in runs if not one.tells(step, limit.latency, figure)]
    what = f"the {figure} of {limit.latency} times" if figure in TIMES else f"the {figure}"
    hint = None
    for other in comparison.latencies if figure in TIMES else ():
        found = comparison.find(step, other, figure)
        if found is not None and found.without != "value":
            hint = f"both runs tell it of {other} times: {other}.{figure}"
    return UsageError(
        f"{' and '.join(blind)} cannot tell {what}, as {limit.text!r} has it", hint=hint
    )


def exit_code(comparisons: Sequence[Comparison], verdicts: Sequence[Verdict]) -> ExitCode:
    """First whether the runs can be trusted, then whether limits were kept and all were judged."""
    judgements = {verdict.judgement for verdict in verdicts}
    runs = [run for one in comparisons for run in (one.ours, one.theirs)]
    # Of a run that another tool has made nobody can know; limits are then about its numbers.
    if not all(run.is_valid for run in runs if run.is_judged_by_flux):
        return ExitCode.INVALID_RUN
    if "missed" in judgements:
        return ExitCode.THRESHOLDS_FAILED
    return ExitCode.INVALID_RUN if judgements - {"passed"} else ExitCode.OK
