"""`roster`: realises the wanted number of users as users that join and leave."""

from contextlib import aclosing
from typing import ClassVar

import attrs

from flux.population import Population
from flux.release import release
from flux.schemas import NOBODY, ROSTER, USERS, Rows, Schema
from flux.stage import Context, Inbox, Outbox, Run


@attrs.frozen(kw_only=True)
class Roster:
    """Turns the wanted number of users into the moments at which each joins and leaves.

    What `pacer` is to the open model. A pipeline has one before an executor that is fed by `users`,
    whether or not it is written down. Where the users have a bounded number of iterations, it also
    says when nobody else will join, if the stages above can tell.

    Source: see `flux.population`.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (USERS,)
    emits: ClassVar[Schema] = ROSTER
    sample: ClassVar[str] = '[[stage]]\nuse = "roster"\n'

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Release changes until the demand ends or the run is stopped."""
        population = Population(context.run.shard)
        last_join_ns = _last_join_ns(context)
        async with aclosing(release(context.run, inbox)) as released:
            async for users in released:
                changes = population.changes(users)
                if len(changes):
                    await outbox.send(changes)
                if last_join_ns is not None and _is_past(users, last_join_ns, context.run):
                    await outbox.send(ROSTER.rows([(last_join_ns, NOBODY, 0)]))
                    last_join_ns = None
        leaving = population.all_leave()
        if len(leaving):
            await outbox.send(leaving)


def _last_join_ns(context: Context) -> int | None:
    """After when nobody joins, if that matters and the source and its shapers can tell."""
    shapers = context.upstream[1:]
    is_bounded = context.habits is not None and context.habits.iterations is not None
    if not is_bounded or any(phase.stages for phase in context.phases):
        return None
    rises = [getattr(shaper, "rises_until_ns", None) for shaper in shapers]
    known = [time_ns for time_ns in rises if time_ns is not None]
    return max(known, default=0) if len(known) == len(rises) else None


def _is_past(users: Rows, time_ns: int, run: Run) -> bool:
    """Whether these rows go beyond that time with the number of users that the plan wants."""
    later = users["start_ns"] >= time_ns
    return bool(later.any()) and run.control.factor_at(int(users["start_ns"][-1])) >= 1
