"""HTML that cannot be broken by what stands in it: every text is escaped, unless it is HTML."""

import html
from collections.abc import Iterable
from typing import TypeAlias

_VOID = frozenset({"meta", "br", "hr"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = "str | int | Iterable[Content]"
"""Html stays as it is; other text is escaped; of several, each."""


def render(content: Content) -> Html:
    """The HTML of some content."""
    if isinstance(content, Html):
        return content
    if isinstance(content, str | int):
        return Html(html.escape(str(content)))
    return Html("".join(map(render, content)))


def tag(name: str, /, *content: Content, **attributes: str | int | bool) -> Html:
    """An element.

    Args:
        name: of the element.
        content: what is in it.
        attributes: of the element, escaped; an underscore at the end goes, others become a
            hyphen. True gives an attribute without value, False none.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{render(content)}</{name}>")
