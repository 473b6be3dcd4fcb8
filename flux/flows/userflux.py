"""userflux's YAML scripts, run as they are: read one, and make the pipeline document it stands for.

What userflux let pass is let pass, with a warning where it did nothing; what made it fail at the
start, or fail every request, is an error with its line and column.
"""

import pathlib
import re
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from flux.errors import ExitCode, FluxError
from flux.flows import encoding
from flux.flows.step import METHODS, header_violation
from flux.flows.yaml_nodes import Mark, Node, ScriptProblem, open_document
from flux.units import Duration, UnitError


class ScriptError(FluxError):
    """A userflux script has one or more problems; its text names the line and column of each."""

    exit_code = ExitCode.INVALID_PIPELINE

    def __init__(self, name: str, problems: "list[ScriptProblem]") -> None:
        lines = []
        for one in problems:
            lines.append(f"{name}:{one.mark}: {one.rule}")
            lines += [f"  hint: {one.hint}"] if one.hint else []
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)
        self.line, self.column = problems[0].mark


@attrs.frozen
class Script:
    """A userflux script, in the terms of a flow."""

    name: str
    """`script.name`, or the file's name without its ending."""
    users: int
    """`config.users`, 1 when absent: how many times the arrivals of one user there are."""
    duration: Duration
    """`config.time`."""
    target: str
    """Scheme and host that all steps go to."""
    steps: tuple[Mapping[str, Any], ...]
    """As tables of `[[stage.step]]`."""
    warnings: tuple[str, ...] = ()
    """What was left out, with its place."""


def read_script(text: str, name: str) -> Script:
    """Read a script.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        ScriptError: it is no YAML, or cannot be run.
    """
    return _Reader(name).read(text)


def to_document(script: Script) -> dict[str, Any]:
    """The pipeline that the script stands for.

    userflux spaces its arrivals exponentially around 1 s, no gap below 50 ms and none above 10 s.
    `users` users are that many times as frequent: the rate is multiplied, both bounds divided.
    """
    users = script.users
    document: dict[str, Any] = {
        "name": script.name,
        "duration": str(script.duration),
        "stage": [
            {
                "use": "exponential",
                "rate": f"{users}/s",
                "min": str(Duration.of_seconds(0.05 / users)),
                "max": str(Duration.of_seconds(10 / users)),
            },
            {
                "use": "http",
                "target": script.target,
                "success": "userflux",
                "step": [dict(step) for step in script.steps],
            },
            {"use": "collect"},
            {"use": "json"},
            {"use": "csv"},
        ],
    }
    return {key: _without_variables(value) for key, value in document.items()}


def _without_variables(value: Any) -> Any:
    """A `$` of the script stays one where the document's variables are filled in."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_without_variables(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_variables(one) for key, one in value.items()}
    return value


_NANOSECONDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "ns": 1,
        "us": 10**3,
        "µs": 10**3,
        "μs": 10**3,
        "ms": 10**6,
        "s": 10**9,
        "m": 60 * 10**9,
        "h": 3600 * 10**9,
    }
)
_GO_NUMBER: Final = r"([0-9]+\.?[0-9]*|\.[0-9]+)"
_GO_PART: Final = re.compile(_GO_NUMBER + "(ns|us|µs|μs|ms|s|m|h)")
_GO_DURATION: Final = re.compile(rf"\+?({_GO_PART.pattern})+")
_LONGEST_DURATION: Final = 100


def go_duration(text: str) -> Duration | None:
    """What Go's time.ParseDuration makes of it, to the nanosecond; None if it is no duration.

    Source: https://pkg.go.dev/time#ParseDuration; units may come in any order and repeat.
    """
    if len(text) > _LONGEST_DURATION or not _GO_DURATION.fullmatch(text):
        return None
    parts = _GO_PART.findall(text)
    exact = sum(Fraction(f"0{number}".rstrip(".")) * _NANOSECONDS[unit] for number, unit in parts)
    try:
        return Duration(int(exact))
    except UnitError:
        return None


class _Reader:
    """Reads one script, going on after a problem so that all of them are told."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._problems: list[ScriptProblem] = []
        self._warnings: list[str] = []

    def read(self, text: str) -> Script:
        top = open_document(text, self._problems)
        if top is None:
            raise ScriptError(self._name, self._problems)
        tables = self._table(top, "the script", "config", "script")
        config = self._required(tables, "config", "config", top)
        script = self._required(tables, "script", "script", top)
        users, duration = self._config(config)
        title, target, steps = self._script(script)
        if self._problems or duration is None:
            raise ScriptError(self._name, sorted(self._problems, key=lambda one: one.mark))
        title = title or pathlib.PurePath(self._name).stem
        return Script(title, users, duration, target, tuple(steps), tuple(self._warnings))

    def _problem(self, mark: Mark, rule: str, hint: str | None = None) -> None:
        self._problems.append(ScriptProblem(mark, rule, hint))

    def _table(self, node: Node, what: str, *known: str) -> dict[str, Node]:
        """The values by key; keys that userflux does not know are left out."""
        found = node.table(what)
        for key, (mark, _) in found.items():
            if key not in known:
                self._warnings.append(f"{self._name}:{mark}: {what} has an unknown key {key!r}")
        return {key: value for key, (_, value) in found.items() if key in known}

    def _required(
        self, table: Mapping[str, Node], key: str, what: str, parent: Node
    ) -> Node | None:
        if key not in table and parent.may_be_table:
            self._problem(parent.mark, f"{what} is required")
        return table.get(key)

    def _config(self, node: Node | None) -> tuple[int, Duration | None]:
        if node is None:
            return 1, None
        table = self._table(node, "config", "users", "time", "generated")
        users = 1
        if "users" in table and (text := table["users"].text("config.users")) is not None:
            if re.fullmatch("[0-9]{1,9}", text) and int(text) > 0:
                users = int(text)
            else:
                self._problem(
                    table["users"].mark,
                    f"config.users must be a whole number greater than 0, got {text!r}",
                )
        time = self._required(table, "time", "config.time", node)
        return users, self._duration(time) if time is not None else None

    def _duration(self, node: Node) -> Duration | None:
        text = node.text("config.time")
        if text is None:
            return None
        duration = go_duration(text)
        if not duration:
            hint = f'write "{text}s"' if re.fullmatch("[0-9]+", text) else None
            rule = 'must be a duration above 0, such as "100s" or "1h30m"'
            self._problem(node.mark, f"config.time {rule}, got {text!r}", hint)
        return duration

    def _script(self, node: Node | None) -> tuple[str, str, list[dict[str, Any]]]:
        if node is None:
            return "", "", []
        table = self._table(node, "script", "name", "flow")
        title = table["name"].text("script.name") if "name" in table else ""
        flow = self._required(table, "flow", "script.flow", node)
        items = flow.items("script.flow") if flow is not None else None
        if flow is not None and items == []:
            self._problem(flow.mark, "script.flow must have at least one step")
        target, steps = "", []
        for index, item in enumerate(items or []):
            host, step = self._step(item, f"script.flow[{index}]")
            if host and target and host != target:
                rule = f"goes to {host}, but an earlier step to {target}"
                hint = "the steps of one flow go to one target: make a script of each"
                self._problem(item.mark, f"script.flow[{index}] {rule}", hint)
            target = target or host
            steps.append(step)
        return title or "", target, steps

    def _step(self, node: Node, what: str) -> tuple[str, dict[str, Any]]:
        table = self._table(node, what, "name", "url", "body", "request")
        request = table.get("request")
        known = ("method", "path", "headers")
        inner = self._table(request, f"{what}.request", *known) if request is not None else {}
        url = (table["url"].text(f"{what}.url") if "url" in table else "") or ""
        path = (inner["path"].text(f"{what}.request.path") if "path" in inner else "") or ""
        host, target = self._split(url + path, table.get("url", node).mark, what)
        method = "GET"
        if "method" in inner:
            method = self._method(inner["method"], what)
        step: dict[str, Any] = {}
        if "name" in table and (name := table["name"].text(f"{what}.name")):
            step["name"] = name
        key = method.lower()
        step |= {key: target} if key in METHODS else {"request": f"{method} {target}"}
        if "headers" in inner and (headers := self._headers(inner["headers"], what)):
            step["headers"] = headers
        if "body" in table and (body := self._body(table["body"], what)):
            step["json"] = body
        return host, step

    def _split(self, url: str, mark: Mark, what: str) -> tuple[str, str]:
        """Scheme and host, and what follows; userflux joins url and path as they are."""
        try:
            parts = urlsplit(url)
            is_full = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            is_full = False
        if not is_full:
            rule = "and request.path must make a URL such as http://127.0.0.1:8080/health"
            self._problem(mark, f"{what}.url {rule}, got {url!r}")
            return "", "/"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return f"{parts.scheme}://{parts.netloc}", _literal(path)

    def _method(self, node: Node, what: str) -> str:
        method = (node.text(f"{what}.request.method") or "GET").upper()
        if not encoding.is_header_name(method):
            self._problem(node.mark, f"{what}.request.method must be a word, got {method!r}")
        return method

    def _headers(self, node: Node, what: str) -> dict[str, str]:
        headers = {}
        for name, (mark, value) in node.table(f"{what}.request.headers").items():
            text = value.text(f"{what}.request.headers.{name}") or ""
            if violation := header_violation(name, text):
                place = f"{self._name}:{mark}: {what}.request.headers.{name}"
                self._warnings.append(f"{place} {violation.rule}")
            else:
                headers[name] = _literal(text)
        return headers

    def _body(self, node: Node, what: str) -> dict[str, str]:
        names = [item.text(f"{what}.body") for item in node.items(f"{what}.body") or ()]
        return {_literal(name): "{{random.text(10)}}" for name in names if name is not None}


def _literal(text: str) -> str:
    """Text of a script in a template: userflux has no placeholders."""
    return text.replace("{", '{{"{"}}') if "{{" in text else text
