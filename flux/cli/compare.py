"""`flux compare`: what differs between runs, and how sure that is."""

import json
import pathlib
from collections.abc import Sequence

import click

from flux.cli.options import BASIS
from flux.cli.results import RESULTS
from flux.compare.comparison import SEED, Comparison
from flux.compare.comparison import compare as compare_runs
from flux.compare.limits import Limit, Verdict, exit_code, judge
from flux.compare.page import comparison_page
from flux.compare.recorded import Recorded
from flux.compare.text import comparison_document, format_comparison
from flux.errors import ExitCode, FluxError, UsageError
from flux.formats import read
from flux.formats.detect import detect
from flux.formats.input import STANDARD_INPUT, open_input
from flux.formats.run_files import find_rows
from flux.result_file import Document, read_result
from flux.result_reading import has_histograms, read_back
from flux.rows import Basis
from flux.runs.folders import RunFolder, find_run
from flux.storage import write_whole


class NotComparable(FluxError):
    """A run has not shown enough to be compared with anything."""

    exit_code = ExitCode.INVALID_RUN


@click.command()
@click.argument("runs", metavar="BASELINE RUN...", nargs=-1, required=True)
@click.option(
    "--fail-if",
    "limits",
    multiple=True,
    metavar="LIMIT",
    help='Exit 99 if so, as in "p99 > +5%" or "login:errors > +1%" (may be repeated).',
)
@click.option("--seed", type=click.IntRange(min=0), default=SEED, help="Of the random draws.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Write a page to this file, too.",
)
@BASIS
@RESULTS
def compare(
    runs: Sequence[str],
    limits: Sequence[str],
    seed: int,
    as_json: bool,
    page: pathlib.Path | None,
    basis: Basis | None,
    results: pathlib.Path,
) -> ExitCode:
    """Compare runs with the first of them, with 95 % confidence intervals.

    A run is its number, `last`, the path of its folder or result.json, or what another tool has
    written (vegeta, k6, JMeter, wrk, Locust, HdrHistogram); - is standard input. Exit codes: 0 ok,
    96 a run of flux is invalid or a limit cannot be judged, 99 a limit was missed.
    """
    if len(runs) < 2:
        raise UsageError("a comparison must be of at least two runs, the baseline first")
    parsed = [Limit.parse(one) for one in limits]
    if runs.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read once")
    ours, *others = (_recorded(one, results, basis) for one in runs)
    comparisons = [compare_runs(ours, theirs, seed) for theirs in others]
    verdicts = judge(parsed, comparisons)
    if page is not None:
        write_whole(page, comparison_page(comparisons, verdicts).encode())
    _show(comparisons, verdicts, as_json=as_json)
    return exit_code(comparisons, verdicts)


def _show(comparisons: Sequence[Comparison], verdicts: Sequence[Verdict], *, as_json: bool) -> None:
    if as_json:
        document = comparison_document(comparisons, verdicts)
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(format_comparison(one, verdicts) for one in comparisons), nl=False)


def _recorded(which: str, results: pathlib.Path, basis: Basis | None) -> Recorded:
    with open_input(which, results) as found:
        path = found.path
        if path.is_dir():
            run = find_run(which, results)
            if run.result is None:
                raise NotComparable(f"{run.title} ({run.state}) has no result", hint=_hint(run))
            return _of_result(which, run.result, run.result_file)
        if detect(path).format == "result":
            return _of_result(found.name, read_result(path), path)
        return Recorded.of(found.named(read(path, basis=basis)), found.name)


def _of_result(which: str, document: Document, path: pathlib.Path) -> Recorded:
    if not has_histograms(document):
        hint = f"if it was killed: flux results repair {which}"
        raise NotComparable(f"run {which} has not come to its end", hint=hint)
    summary, read_run = read_back(document, path.parent)
    is_valid = document["validity"]["valid"]
    return Recorded(which, summary, read_run, is_valid, path=path.resolve())


def _hint(run: RunFolder) -> str:
    rows = find_rows(run.path)
    if rows is None:
        return "there are no rows either: a pipeline with a csv or ndjson stage keeps them"
    return f"its rows can be compared: {rows[0]}; if it was killed: flux results repair {run.path}"
