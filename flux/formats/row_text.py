"""From OUTCOME rows to the text of other tools' formats: what those formats have in common."""

from collections.abc import Callable, Iterator

import attrs
import numpy as np
import numpy.typing as npt

from flux.formats.facts import Facts
from flux.line_format import Selection
from flux.schemas import NOT_STARTED, Flag, Rows
from flux.text_columns import Words, constant, digits, text_table, whole_numbers

_MILLISECOND_NS = 10**6


def requests_only(rows: Rows) -> npt.NDArray[np.bool_]:
    """Requests that belong to a step."""
    is_request: npt.NDArray[np.bool_] = (rows["flags"] & int(NOT_STARTED)) == 0
    return is_request & (rows["step"] >= 0)


def flagged(flag: Flag) -> Selection:
    """Rows with this flag."""
    return lambda rows: (rows["flags"] & int(flag)) != 0


def milliseconds(durations_ns: npt.NDArray[np.int64]) -> Iterator[Words]:
    """With six decimals: exact."""
    whole, rest = np.divmod(np.maximum(durations_ns, 0), _MILLISECOND_NS)
    yield from whole_numbers(whole)
    yield constant(b".")
    yield from digits(rest, 6)


def rounded_ms(durations_ns: npt.NDArray[np.int64]) -> Iterator[Words]:
    """Whole milliseconds, halves upwards."""
    return whole_numbers((np.maximum(durations_ns, 0) + _MILLISECOND_NS // 2) // _MILLISECOND_NS)


class Kinds:
    """A text that depends on few columns: made once for each combination that comes up."""

    def __init__(self, facts: Facts, text: Callable[["Kind"], bytes]) -> None:
        """Keep how the text of a combination is made."""
        self._facts = facts
        self._text = text

    def pieces(self, rows: Rows) -> Words:
        """The text of each row."""
        keys = (rows["step"].astype(np.int64) + 1) << 44
        keys |= (rows["target"].astype(np.int64) + 1) << 28
        keys |= (rows["status"].astype(np.int64) & 0xFFFF) << 12
        keys |= rows["error"].astype(np.int64) << 1
        keys |= (rows["flags"] & int(Flag.SUCCESS)) != 0
        _, firsts, which = np.unique(keys, return_index=True, return_inverse=True)
        texts = [self._text(Kind.of(rows[row], self._facts)) for row in firsts.tolist()]
        return text_table([text.replace(b"\0", b"") for text in texts])[which]


@attrs.frozen
class Kind:
    """What rows of one combination have in common."""

    step: str
    method: str
    url: str
    status: int
    error: int
    is_success: bool

    @classmethod
    def of(cls, row: np.void, facts: Facts) -> "Kind":
        """That of a row."""
        step = int(row["step"])
        return cls(
            step=facts.step(step),
            method=facts.method(step),
            url=facts.url(step, int(row["target"])) if step >= 0 else "",
            status=int(row["status"]),
            error=int(row["error"]),
            is_success=bool(row["flags"] & int(Flag.SUCCESS)),
        )
