"""`roster`: realises the wanted number of users as users that join and leave."""

from contextlib import aclosing
from typing import ClassVar

import attrs

from flux.population import Population
from flux.release import release
from flux.schemas import ROSTER, USERS, Schema
from flux.stage import Context, Inbox, Outbox


@attrs.frozen(kw_only=True)
class Roster:
    """Turns the wanted number of users into the moments at which each joins and leaves.

    What `pacer` is to the open model. A pipeline has one before an executor that is fed by `users`,
    whether or not it is written down.

    Source: see `flux.population`.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (USERS,)
    emits: ClassVar[Schema] = ROSTER
    sample: ClassVar[str] = '[[stage]]\nuse = "roster"\n'

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Release changes until the demand ends or the run is stopped."""
        population = Population(context.run.shard)
        async with aclosing(release(context.run, inbox)) as released:
            async for users in released:
                changes = population.changes(users)
                if len(changes):
                    await outbox.send(changes)
        leaving = population.all_leave()
        if len(leaving):
            await outbox.send(leaving)
