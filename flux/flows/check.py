"""Problems of a flow as a whole, which no step can know alone: names, and where text ends up."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from flux.config.locate import Path
from flux.config.problems import Violation
from flux.flows import encoding
from flux.flows.draws import ArrivalNumber, RandomChoice
from flux.flows.options import FlowOptions
from flux.flows.step import Step, at, header_violation, name_violation
from flux.flows.template import Named, Placeholder, Template, parse, unknown_name

Known = Mapping[str, Template | None]
"""Names that may be used: with their template those of `let`, with None those of captures."""


def check_flow(steps: Sequence[Step], options: FlowOptions) -> Iterator[Exception]:
    """Problems of the flow as a whole, such as names that nothing defines.

    Yields:
        Violations at paths below the executor (`step`, `let`, `headers`), to be yielded on from
        its `check`. Problems of a step alone were found when it was structured.
    """
    for path, violation in flow_problems(steps, options):
        yield at(path, violation)


def flow_problems(steps: Sequence[Step], options: FlowOptions) -> Iterator[tuple[Path, Violation]]:
    """The same with the paths beside them."""
    let: dict[str, Template | None] = {}
    later = {name for step in steps for name in step.capture}
    for name, text in options.let.items():
        found = name_violation(name) or _text_problem(text, let, later)
        if not found and options.identity == "user":
            found = _changing(text)
        if found:
            yield ("let", name), found
        let[name] = () if found else parse(text)
    for name, text in options.headers.items():
        found = header_violation(name, text) or _header_problem(text, let, later)
        if found:
            yield ("headers", name), found
    if not steps:
        yield ("step",), Violation("must have at least one step")
    captured: dict[str, None] = {}
    for index, step in enumerate(steps):
        for path, violation in _step_problems(step, {**captured, **let}, later):
            yield ("step", index, *path), violation
        for name in step.capture:
            if name in let:
                taken = Violation("must not have this name: it is taken by let")
                yield ("step", index, "capture", name), taken
        captured.update(dict.fromkeys(step.capture))


def _changing(text: str) -> Violation | None:
    """What a user keeps must not be the number of an iteration."""
    for part in parse(text):
        if isinstance(part, Placeholder) and isinstance(part.meaning, ArrivalNumber):
            return Violation(
                'must not use {{seq}} where identity is "user": it changes with each iteration',
                hint="{{user}} is the number of the user",
            )
    return None


def _step_problems(
    step: Step, known: Known, later: Collection[str]
) -> Iterator[tuple[Path, Violation]]:
    for path, text in step.texts():
        if path[0] == "headers":
            found = _header_problem(text, known, later)
        else:
            found = _text_problem(text, known, later, may_be_number=path[0] == "json")
        if found:
            yield path, found


def _text_problem(
    text: str, known: Known, later: Collection[str], *, may_be_number: bool = False
) -> Violation | None:
    try:
        template = parse(text)
    except Violation as violation:
        return violation
    for part in template:
        if isinstance(part, str):
            continue
        if part.as_number and not may_be_number:
            return Violation("must use |number only where it is all of a string in json")
        if not isinstance(part.meaning, Named):
            continue
        name = part.meaning.name
        if name not in known:
            if name in later:
                return Violation(f"must not use {name!r} before a step has captured it")
            return unknown_name(name, known)
        if part.as_number and not _is_number((part,), known):
            return Violation(f"must use |number only with a number, and {name!r} may be none")
    return None


def _is_number(template: Template | None, known: Known) -> bool:
    """Whether it always is one; of captures the judge sees to it."""
    match template:
        case None:
            return True
        case (str(text),):
            return encoding.is_number(text)
        case (Placeholder(meaning=Named(name)),):
            return _is_number(known[name], known)
        case (Placeholder(meaning=meaning),) if not isinstance(meaning, Named):
            return meaning.is_number
        case _:
            return False


def _header_problem(text: str, known: Known, later: Collection[str]) -> Violation | None:
    """Text that comes into a header from elsewhere must not end its line either."""
    found = _text_problem(text, known, later)
    if found is None and not all(map(encoding.fits_header, _constants(parse(text), known))):
        found = Violation("must not have line breaks or other control characters")
    return found


def _constants(template: Template, known: Known) -> Iterator[str]:
    """Every text that may come out of it and is not random."""
    for part in template:
        if isinstance(part, str):
            yield part
        elif isinstance(part.meaning, RandomChoice):
            yield from part.meaning.choices
        elif isinstance(part.meaning, Named):
            yield from _constants(known[part.meaning.name] or (), known)
