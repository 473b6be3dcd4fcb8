"""`pacer`: realises the demand as arrivals, just ahead of the clock."""

from contextlib import aclosing
from typing import ClassVar

import attrs

from flux.arrivals import drawn_gaps
from flux.pacing import Pacer as Arithmetic
from flux.release import release
from flux.schemas import ARRIVAL, DEMAND, Schema
from flux.stage import Context, Inbox, Outbox
from flux.turns import in_turns


@attrs.frozen(kw_only=True)
class Pacer:
    """Turns the wanted rate and the generator's gaps into the due time of every arrival.

    A pipeline has one before each executor, whether or not it is written down. Arrivals are
    released two ticks before they are due, so that live control acts at once.

    Source: time rescaling, see `flux.pacing`.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (DEMAND,)
    emits: ClassVar[Schema] = ARRIVAL
    sample: ClassVar[str] = '[[stage]]\nuse = "pacer"\n'

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Release arrivals until the demand ends, the count is reached or the run is stopped."""
        source, run = context.source, context.run
        count = getattr(source, "count", None)
        arithmetic = Arithmetic(drawn_gaps(context), count=count, shard=run.shard)
        level = 0.0
        context.report_status("level_per_s", lambda: level)
        async with aclosing(release(run, inbox)) as released:
            async for demand in released:
                level = float(demand["end_level"][-1]) if len(demand) else level
                arrivals = await in_turns(arithmetic.arrivals_in_turns(demand))
                if len(arrivals):
                    await outbox.send(arrivals)
                if arithmetic.is_finished:
                    break
        level = 0.0
