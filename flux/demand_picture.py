"""The demand of a plan as a picture: SVG, which browsers, editors and wikis show. Pure.

A line is the wanted level, row by row. Where there are more rows than the picture has columns, it
is the mean of each column, and a band from the lowest to the highest stands behind it. Bars are the
planned arrivals, per second of their column, which scatter around the line as the gaps do. A dashed
line stands where a phase begins, with its name.
"""

import html
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from flux.plan import Plan
from flux.units import Duration

WIDTH, HEIGHT = 960, 440
LEFT, RIGHT, TOP, BOTTOM = 88, 20, 84, 60
COLUMNS = 434
"""Places along the time axis: two units wide each."""

LETTER_WIDTH = 7
"""About, of a letter: what a name takes must be known before it is drawn."""

BARS = 62
"""Columns of arrivals: fewer, so that each has arrivals enough to mean something."""

_STYLE = """
  svg { background: #fff; color: #222; font: 13px system-ui, sans-serif; }
  .grid { stroke: currentColor; stroke-opacity: .15; }
  .axis { fill: currentColor; }
  .bars { fill: #4c8dd6; fill-opacity: .3; }
  .band { fill: #d6604c; fill-opacity: .25; }
  .phase { stroke: currentColor; stroke-opacity: .55; stroke-dasharray: 5 4; }
  .warmup { fill: currentColor; fill-opacity: .06; }
  .line { fill: none; stroke: #d6604c; stroke-width: 2; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) { svg { background: #16181c; color: #ddd; } }
"""

Values = npt.NDArray[np.float64]


def demand_svg(plan: Plan) -> str:
    """The picture, as a document of its own."""
    title = f"{plan.name}: {_totals(plan)}"
    body = "\n".join(_body(plan, title)) if len(plan.demand) else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">\n<title>{html.escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def demand_html(plan: Plan) -> str:
    """The picture on a page that needs nothing else."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(plan.name)}: demand</title>\n"
        "<style>body { margin: 1rem auto; max-width: 72rem; }</style>\n"
        f"{demand_svg(plan)}</html>\n"
    )


def _totals(plan: Plan) -> str:
    what = "users join" if plan.is_closed else "arrivals"
    return f"{plan.arrivals:,} {what} in {Duration(plan.duration_ns)}, peak {plan.peak_level:.6g}"


def _body(plan: Plan, title: str) -> Iterator[str]:
    bars = _bars(plan)
    ticks = nice_ticks(max(plan.peak_level, float(bars.max(initial=0.0))))
    top = ticks[-1]
    has_band = len(plan.demand) > COLUMNS
    yield f'<text class="axis" x="{LEFT}" y="24" font-weight="bold">{html.escape(title)}</text>'
    yield from _legend(plan, has_band=has_band)
    yield from _axis_names(plan)
    yield from _phases(plan)
    yield from _grid(plan, ticks, top)
    yield f'<path class="bars" d="{_bar_path(bars, top)}"/>'
    if not has_band:
        yield f'<path class="line" d="{_row_path(plan, top)}"/>'
        return
    low, mean, high = _columns(plan)
    yield f'<path class="band" d="{_band_path(low, high, top)}"/>'
    yield f'<path class="line" d="{_mean_path(mean, top)}"/>'


def _legend(plan: Plan, *, has_band: bool) -> Iterator[str]:
    """What is what, in a row below the title."""
    level = "users" if plan.is_closed else "rate"
    items = [("line", f"mean {level}" if has_band else f"planned {level}")]
    if has_band:
        items.append(("band", f"lowest to highest {level}"))
    if not plan.is_closed:
        items.append(("bars", "planned arrivals"))
    if any(phase.is_warmup for phase in plan.phases):
        items.append(("warmup", "warm-up"))
    x = LEFT
    for kind, text in items:
        if kind == "line":
            yield f'<line class="line" x1="{x}" x2="{x + 18}" y1="42" y2="42"/>'
        else:
            yield f'<rect class="{kind}" x="{x}" y="36" width="18" height="12"/>'
        yield f'<text class="axis legend" x="{x + 24}" y="46" font-size="12">{text}</text>'
        x += 24 + LETTER_WIDTH * len(text) + 20


def _axis_names(plan: Plan) -> Iterator[str]:
    unit = "users" if plan.is_closed else "arrivals per second"
    middle = (TOP + HEIGHT - BOTTOM) // 2
    yield (
        f'<text class="axis name" x="20" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 20 {middle})">{unit}</text>'
    )
    x, y = (LEFT + WIDTH - RIGHT) // 2, HEIGHT - 12
    text = "time since the run began"
    yield f'<text class="axis name" x="{x}" y="{y}" text-anchor="middle">{text}</text>'


def _phases(plan: Plan) -> Iterator[str]:
    """A mark where each phase begins, with as much of its name as there is room for."""
    floor = HEIGHT - BOTTOM
    for phase in plan.phases:
        begin, end = (_x(ns / plan.duration_ns) for ns in (phase.start_ns, phase.end_ns))
        if phase.is_warmup:
            yield (
                f'<rect class="warmup" x="{begin}" y="{TOP}" width="{end - begin:.1f}" '
                f'height="{floor - TOP}"/>'
            )
        yield f'<line class="phase" x1="{begin}" x2="{begin}" y1="{TOP - 16}" y2="{floor}"/>'
        letters = int((end - begin - 4) / LETTER_WIDTH)
        name = phase.name if len(phase.name) <= letters else phase.name[: max(0, letters - 1)] + "…"
        yield (
            f'<text class="axis phase-name" x="{begin + 4:.1f}" y="{TOP - 5}" font-size="12">'
            f"<title>{html.escape(phase.title)}</title>{html.escape(name)}</text>"
        )


def _columns(plan: Plan) -> tuple[Values, Values, Values]:
    """Lowest, mean and highest level of each column of the picture, (COLUMNS,) each."""
    demand, cuts_ns = plan.demand, np.linspace(0, plan.duration_ns, COLUMNS + 1)
    first = np.searchsorted(demand["end_ns"], cuts_ns[:-1], side="right")
    last = np.searchsorted(demand["start_ns"], cuts_ns[1:], side="left")
    lowest = np.minimum(demand["level"], demand["end_level"])
    highest = np.maximum(demand["level"], demand["end_level"])
    low, high = np.empty(COLUMNS), np.empty(COLUMNS)
    for column, (begin, end) in enumerate(zip(first.tolist(), last.tolist())):
        rows = slice(min(begin, len(demand) - 1), max(end, begin + 1))
        low[column], high[column] = lowest[rows].min(), highest[rows].max()
    return low, plan.levels(COLUMNS), high


def _bars(plan: Plan) -> Values:
    """Arrivals per second in each bar; in the closed model nothing, for users are no rate."""
    if plan.is_closed:
        return np.zeros(0)
    middle_ns = (plan.demand["start_ns"] + plan.demand["end_ns"]) / 2
    counts, _ = np.histogram(
        middle_ns, bins=BARS, range=(0, plan.duration_ns), weights=plan.per_row
    )
    per_s: Values = counts / (plan.duration_ns / BARS / 1e9)
    return per_s


def nice_ticks(highest: float) -> list[float]:
    """Round numbers from 0 to the first that is not below the highest, four to eight of them."""
    if highest <= 0:
        return [0.0, 1.0]
    power = 10.0 ** np.floor(np.log10(highest))
    step = next(
        factor * power
        for factor in (0.2, 0.25, 0.5, 1.0, 2.0)
        if highest <= 7 * factor * power * (1 + 1e-9)
    )
    count = int(np.ceil(highest / step - 1e-9))
    return [round(index * step, 12) for index in range(count + 1)]


def _grid(plan: Plan, ticks: Sequence[float], top: float) -> Iterator[str]:
    for tick in ticks:
        y = _y(tick, top)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield (
            f'<text class="axis" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for part in range(5):
        x = _x(part / 4)
        time = Duration(round(plan.duration_ns * part / 4 / 10**6) * 10**6)
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        yield f'<text class="axis" x="{x}" y="{HEIGHT - 36}" text-anchor="{anchor}">{time}</text>'


def _bar_path(bars: Values, top: float) -> str:
    floor = _y(0, top)
    return "".join(
        f"M{_x(index / BARS)} {floor}V{_y(value, top)}H{_x((index + 0.9) / BARS)}V{floor}Z"
        for index, value in enumerate(bars.tolist())
        if value
    )


def _row_path(plan: Plan, top: float) -> str:
    """From the beginning of each row to its end, which is where the next one begins, or jumps."""
    points = (
        f"{_x(time_ns / plan.duration_ns)} {_y(level, top)}"
        for start_ns, end_ns, level, end_level in plan.demand.tolist()
        for time_ns, level in ((start_ns, level), (end_ns, end_level))
    )
    return "M" + "L".join(points)


def _mean_path(mean: Values, top: float) -> str:
    points = (
        f"{_x((index + 0.5) / COLUMNS)} {_y(value, top)}"
        for index, value in enumerate(mean.tolist())
    )
    return "M" + "L".join(points)


def _band_path(low: Values, high: Values, top: float) -> str:
    there = [f"{_x((i + 0.5) / COLUMNS)} {_y(value, top)}" for i, value in enumerate(high.tolist())]
    back = [f"{_x((i + 0.5) / COLUMNS)} {_y(value, top)}" for i, value in enumerate(low.tolist())]
    return "M" + "L".join([*there, *reversed(back)]) + "Z"


def _x(share: float) -> float:
    """Where a share of the duration is."""
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, top: float) -> float:
    """Where a level is."""
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)
