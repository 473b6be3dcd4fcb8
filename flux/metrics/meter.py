"""What the sinks of metrics have in common: a run's book, and readings of it within the limit."""

from collections.abc import Iterator, Mapping

from flux.metrics.book import Book
from flux.metrics.buckets import Edges
from flux.metrics.family import Dialect, Family, Point
from flux.metrics.limit import OTHER, SeriesLimit
from flux.metrics.reading import Facts, Reading, take_reading
from flux.stage import Context
from flux.summary import Finding, Summary


class Meter:
    """Knows a run while it goes on."""

    def __init__(self, context: Context, dialect: Dialect, max_series: int) -> None:
        """Begin before the first interval.

        Args:
            context: of the sink; told if there are too many series.
            dialect: what is to be read off.
            max_series: label sets that one metric may have.
        """
        self._context = context
        self._facts = Facts.of(context)
        self._book = Book(
            dialect.edges,
            steps=len(self._facts.steps),
            targets=len(self._facts.targets),
            phases=[phase.name for phase in self._facts.phases],
        )
        self._limit = SeriesLimit(max_series, self._tell_full)
        self._most = max_series
        self.families = dialect.families
        self.edges: Mapping[str, Edges] = dialect.edges

    @property
    def has_ended(self) -> bool:
        """Whether the summary of the whole run is in."""
        return self._book.page.final is not None

    async def take(self, summary: Summary) -> None:
        """Add an interval, or put the summary of the whole run in place of all of them."""
        await self._book.take(summary)

    def read(self) -> Reading:
        """Look at the run as it is now."""
        return take_reading(self._facts, self._book.page, self._context.run)

    def points(self, family: Family, reading: Reading) -> Iterator[Point]:
        """What a metric is, each label set once."""
        return self._limit.points(family, family.read(reading))

    def _tell_full(self) -> None:
        text = (
            f"stage {self._context.stage!r} has more than max_series = {self._most} label sets of "
            f'a metric: the rest is added up under "{OTHER}"'
        )
        self._context.run.log.warning("%s", text)
        self._context.report_finding(
            Finding(text, is_fatal=False, remedy="raise max_series, or give fewer steps and tags")
        )
