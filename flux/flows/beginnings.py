"""How sessions begin: which values are made for the iteration, and which its user brings along.

With `identity = "iteration"` the values of `let` are made once per iteration, by its number; with
"user" once per user, by the number of the user, and every iteration of it has the same. All other
values are the iteration's own. In the open model both come to the same, for there the user has the
number of its one session.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import attrs

from flux.flows.actions import Send, Session
from flux.flows.sessions import Known, Play, live_value
from flux.flows.template import LiveKind

Sends: TypeAlias = Callable[[int], Sequence[Send]]
"""By number of the session or user, one `Send` per step; what it does not say is empty."""


@attrs.frozen(eq=False)
class Beginnings:
    """Begins the sessions of a flow."""

    play: Play
    own: Sends
    """By iteration."""
    brought: Sends
    """By user; nothing of it is used where no step has a place in `places_brought`."""
    places_brought: tuple[tuple[int, ...], ...]
    """Of each step, the places that are filled by user."""
    at_start: Mapping[str, LiveKind]
    """Names of values that are fixed once, and what they are."""
    wall_clock_ns: Callable[[], int]

    def begin(self, seq: int, user: int) -> Session:
        """A session of somebody new."""
        return self.play(self.own(seq), seq, user, self._fixed(user) if self.at_start else {})

    def begin_user(self, user: int) -> Callable[[int], Session]:
        """The sessions of one user, by their numbers; what it brings along is fixed here."""
        fixed, brought = self._fixed(user), self.brought(user)

        def begin(seq: int) -> Session:
            return self.play(self._filled(self.own(seq), brought), seq, user, fixed)

        return begin

    def begin_first(self, seq: int, user: int) -> Session:
        """A session of a user that makes no other."""
        return self.begin_user(user)(seq)

    def _fixed(self, user: int) -> Known:
        clock = self.wall_clock_ns
        return {name: live_value(kind, clock, user) for name, kind in self.at_start.items()}

    def _filled(self, own: Sequence[Send], brought: Sequence[Send]) -> list[Send]:
        filled = []
        for send, theirs, places in zip(own, brought, self.places_brought):
            if places:
                values = list(send.values)
                for place in places:
                    values[place] = theirs.values[place]
                send = Send(send.plan, tuple(values))
            filled.append(send)
        return filled
