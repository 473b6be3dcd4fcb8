"""Response heads that were seen before: the fast path of parsing.

A target's responses to one step mostly have the same head, byte for byte, until the second changes
in their Date. A parser is deterministic: from the same state and the same bytes it gets to the same
result. So what it made of a head is kept by the head's bytes, and a later response that begins with
the same bytes needs no parsing, only its length checked. Kept are only heads after which the
connection stays open and whose body's length the head tells; everything else goes to the parser.

That the bytes up to the first empty line are the head is shown once, when it is kept: the parser
found the response complete, with that length, exactly at the end of what was received.
"""

from typing import TypeAlias

from flux.flows.actions import Headers

Head: TypeAlias = tuple[int, int, "Headers | None", "bytes | None"]
"""Status, bytes of the body, headers if the step wants them, content encoding if it has one."""

Heads: TypeAlias = dict[bytes, Head]
"""By the bytes up to and including the empty line."""

_MOST_HEADS = 64
"""Of one step: a target whose heads all differ must not fill the memory."""


def keep(heads: Heads, raw: bytes, head: Head) -> None:
    """Remember what the parser made of a head."""
    if len(heads) >= _MOST_HEADS:
        heads.clear()
    heads[raw] = head
