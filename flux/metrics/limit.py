"""A bound on how many series a metric has.

Whoever comes first has a series of its own for good; what comes once there are enough is added up
in one more, all of whose labels are "other". So sums stay what they are, and no counter ever falls.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from flux.metrics.buckets import Buckets
from flux.metrics.family import Family, Point, Value

OTHER: Final = "other"

_Key: TypeAlias = tuple[tuple[str, str | int], ...]


class SeriesLimit:
    """Says which points have a series of their own."""

    def __init__(self, most: int, when_full: Callable[[], None] = lambda: None) -> None:
        """Begin with none.

        Args:
            most: label sets of one metric, not counting "other".
            when_full: called once, when the first point gets no series of its own.
        """
        self._most = most
        self._when_full = when_full
        self._admitted: dict[str, set[_Key]] = {}
        self._is_full = False

    def points(self, family: Family, points: Iterable[Point]) -> Iterator[Point]:
        """The points of a metric, each label set once, and within the limit.

        A gauge's points cannot be added up, so those beyond the limit are left out.
        """
        by_key: dict[_Key, Point] = {}
        others: Value | None = None
        for point in points:
            key = tuple(point.attributes.items())
            if not self._admits(family, key):
                others = _sum(others, point.value)
            elif key in by_key:
                by_key[key] = Point(_sum(by_key[key].value, point.value), point.attributes)
            else:
                by_key[key] = point
        yield from by_key.values()
        if others is not None and family.kind in ("counter", "histogram"):
            yield Point(others, {label: OTHER for label in family.labels if "*" not in label})

    def _admits(self, family: Family, key: _Key) -> bool:
        admitted = self._admitted.setdefault(family.name, set())
        if key in admitted:
            return True
        if len(admitted) >= self._most:
            self._tell()
            return False
        admitted.add(key)
        return True

    def _tell(self) -> None:
        if not self._is_full:
            self._is_full = True
            self._when_full()


def _sum(one: Value | None, other: Value) -> Value:
    if one is None:
        return other
    if isinstance(one, Buckets) and isinstance(other, Buckets):
        return one + other
    if isinstance(one, Buckets) or isinstance(other, Buckets):
        raise TypeError("a metric has values of one kind")
    return one + other
