"""Which of several targets a session goes to: by weight, and by which of them are healthy.

A session's target is drawn from (seed, seq). If that target is not healthy the session is drawn
another one among those that are, by a second number of its own; so the sessions of healthy targets
stay where they are. What cannot go anywhere is withheld.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from flux.flows.values import Values
from flux.weights import OTHER_TARGET_SLOT, TARGET_SLOT, Weights

OnUnhealthy: TypeAlias = Literal["others", "withhold"]


class TargetChoice:
    """Picks targets, and is told which are healthy; all of them are until then."""

    def __init__(
        self,
        weights: Sequence[float],
        *,
        seed: int,
        shards: int = 1,
        on_unhealthy: OnUnhealthy = "others",
        rest_ns: int = 0,
    ) -> None:
        """Begin with all targets healthy.

        Args:
            weights: of the targets, in order.
            seed: of the run.
            shards: processes that share the run's sessions; it sets the cost, never the choice.
            on_unhealthy: "others": the share of a target that is not healthy goes to the others;
                "withhold": nobody has it.
            rest_ns: how long a user of the closed model waits who has nowhere to go.
        """
        self.rest_ns = rest_ns
        self._seed = seed
        self._weights = tuple(weights)
        self._on_unhealthy = on_unhealthy
        self._healthy = [True] * len(weights)
        self._others: Weights | None = None
        drawn = Weights(weights)
        self._shares = drawn.shares
        self._drawn = Values[int](
            lambda seqs: drawn.choose_array(seed, seqs, TARGET_SLOT).tolist(),
            width=8,
            shards=shards,
        )

    def pick(self, seq: int) -> int:
        """The target of session `seq`; ~target if it is to be withheld from that one."""
        drawn = self._drawn.of(seq)
        if self._healthy[drawn]:
            return drawn
        if self._others is None:
            return ~drawn
        return self._others.choose(self._seed, seq, OTHER_TARGET_SLOT)

    def set_healthy(self, target: int, is_healthy: bool) -> None:
        """From now on this target is healthy, or is not."""
        self._healthy[target] = is_healthy
        self._others = None
        if self._on_unhealthy == "others" and any(self._healthy):
            self._others = Weights(
                [weight if well else 0.0 for weight, well in zip(self._weights, self._healthy)]
            )

    def is_healthy(self, target: int) -> bool:
        """Whether sessions go to this target."""
        return self._healthy[target]

    @property
    def shares(self) -> tuple[float, ...]:
        """The part of all sessions that each target has as things stand, 0 to 1."""
        if self._others is not None:
            return self._others.shares
        return tuple(share if well else 0.0 for share, well in zip(self._shares, self._healthy))
