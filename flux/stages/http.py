"""`http`: an executor that drives flows of HTTP requests against one or several targets."""

import base64
import importlib
import pathlib
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, ClassVar, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs
import trio

from flux.arrivals import end_of_source_ns
from flux.clients.health import Health, Probe, Standing
from flux.clients.outcome_log import OutcomeLog
from flux.clients.probing import Prober, Route, Watch, probe_all, status_of
from flux.clients.refusing import refuse_host
from flux.clients.target import Address, Auth, HostPort, Target, Tls
from flux.clients.target_choice import TargetChoice
from flux.clients.targets import WeightedTarget, check_targets
from flux.clients.work import Limits, OnLate, Work
from flux.config.locate import Path
from flux.config.problems import Violation
from flux.config.rules import above, at_least
from flux.errors import FluxError, UsageError
from flux.flows.actions import Flow, Identity
from flux.flows.check import check_flow
from flux.flows.compile import compile_flow
from flux.flows.options import FlowOptions, Success
from flux.flows.script_file import ScriptFile
from flux.flows.step import OnFailure, Step, distinct_titles
from flux.flows.weighted import WeightedFlow, check_flows, compile_flows
from flux.guards.hosts import Contact
from flux.guards.manners import Manners
from flux.schemas import ARRIVAL, OUTCOME, ROSTER, Schema
from flux.stage import Context, Inbox, Outbox, Run
from flux.units import Duration
from flux.workers.keys import ONE, OnWorkerLoss, Processes

ClientName: TypeAlias = Literal["wire", "httpx"]


@attrs.frozen(kw_only=True)
class Http:
    """Runs a flow of HTTP requests for every session that is due.

    A session makes the flow's steps in order. A step fails by its transport, by its status (2xx and
    3xx are successes, unless `success` or `expect` say otherwise) or by what it expects; a failure
    ends the session unless `on_failure = "continue"`, and what was not run is counted as skipped.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (ARRIVAL, ROSTER)
    emits: ClassVar[Schema] = OUTCOME
    sample: ClassVar[str] = """
[[stage]]
use = "http"
target = "demo"

[[stage.step]]
name = "health"
get = "/health"
expect = { status = 200 }
"""

    target: Target | None = None
    """The server under test, as in "http://127.0.0.1:8080/api"; "demo" starts the bundled gateway
    on a free port and stops it with the run."""
    targets: tuple[WeightedTarget, ...] = ()
    """Several servers with weights, as [[stage.targets]] tables, in place of `target`: every
    session goes to one of them."""
    health: Health | None = None
    """How targets are asked whether they are healthy, as a [stage.health] table; sessions go only
    to those that are. Without it nobody asks, and all of them are."""
    step: tuple[Step, ...] = ()
    """The flow, as [[stage.step]] tables in order."""
    script: ScriptFile | None = None
    """A userflux YAML script whose steps are the flow, in place of `step`."""
    flow: tuple[WeightedFlow, ...] = ()
    """Several flows with weights, as [[stage.flow]] tables, in place of `step`: every session runs
    one of them."""
    client: ClientName | None = None
    """"wire" is fast and speaks HTTP/1.1; "httpx" is slow and also speaks HTTP/2 and through
    proxies. When absent: "wire", unless the keys below ask for what only "httpx" has."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Headers of every request; a step's own replace them."""
    let: Mapping[str, str] = attrs.field(factory=dict)
    """Values made once per session, for use as {{name}}: { user = "{{random.text(10)}}" }."""
    identity: Identity = "iteration"
    """Who a user is to the target. "iteration": somebody new in each of its iterations, with new
    values of `let` and no cookies; "user": always the same, with the values of `let` that it had in
    the first one, and its cookies. In the open model both are the same."""
    timeout: Annotated[Duration, above(0)] = Duration(30 * 10**9)
    """From the start of a request to the end of its response; a step's own replaces it."""
    success: Success = "status"
    """"status": 2xx and 3xx are successes; "userflux": 2xx with a JSON object as body."""
    on_failure: OnFailure = "stop"
    """What a failed step does to its session: "stop" it, or "continue" with the next step."""
    redirects: Annotated[int, at_least(0)] = 0
    """How many redirects a request follows, within its one row; 0: a 3xx is the response."""
    max_in_flight: Annotated[int, at_least(1)] = 10_000
    """Sessions open at once, at the most; in the closed model `users` says how many there are."""
    on_late: OnLate = "queue"
    """What becomes of an arrival that finds no place: "queue" waits for one, "drop" gives it up."""
    max_lag: Annotated[Duration, above(0)] | None = None
    """An arrival that could not start this long after it was due is dropped; never if absent."""
    max_connections: Annotated[int, at_least(1)] | None = None
    """Connections open at once to each target; as many as sessions need when absent."""
    auth: Auth | None = None
    """Authorization of every request: { bearer = "${API_TOKEN}" }."""
    tls: Tls = Tls()  # noqa: RUF009  # immutable
    """How TLS connections are made."""
    http2: bool = False
    """Offer HTTP/2 (client httpx only, extra `http2`)."""
    proxy: str | None = None
    """Proxy for all requests, as in "http://127.0.0.1:3128" (client httpx only)."""
    connect_to: HostPort | None = None
    """Connect here, whatever host the target's URL names (client wire only)."""
    unix_socket: pathlib.Path | None = None
    """Connect to this Unix socket, whatever host the target's URL names."""
    source_address: Address | None = None
    """Local address to connect from."""
    processes: Processes = ONE
    """Worker processes that share the sessions; "auto": one for each CPU that flux may use. What
    bounds the run (max_in_flight, max_connections) is divided among them; none gets less than 1."""
    on_worker_loss: OnWorkerLoss = "continue"
    """When a worker process dies, its share counts as lost and the run as invalid, and the others
    "continue" or "stop"."""

    def check(self) -> Iterator[Exception]:
        """Rules about fields taken together."""
        if (self.target is not None) == bool(self.targets):
            yield Violation(
                "needs either target or [[stage.targets]] tables",
                hint='write target = "http://127.0.0.1:8080"',
            )
        yield from check_targets(self.targets)
        if [bool(self.step), self.script is not None, bool(self.flow)].count(True) != 1:
            yield Violation(
                "needs one of [[stage.step]] tables, script, and [[stage.flow]] tables",
                hint='the shortest flow is step = [{ get = "/" }]',
            )
        elif self.step:
            yield from check_flow(self.step, self._options())
        else:
            yield from check_flows(self.flow, self._options())
        yield from self._check_client()
        try:
            self.tls.context()
        except (ssl.SSLError, OSError) as error:
            yield Violation(f"cannot be used: {error}", key="tls")

    def _check_client(self) -> Iterator[Violation]:
        """Keys that the chosen client does not have."""
        for key in self._only_httpx() if self.client == "wire" else ():
            yield Violation('needs client = "httpx"', key=key)
        if self.client != "wire" and self._is_httpx() and self.connect_to is not None:
            yield Violation('needs client = "wire"', key="connect_to")
        if self.health is not None and self.proxy is not None:
            yield Violation("cannot stand beside proxy: probes go to the targets", key="health")

    def _is_httpx(self) -> bool:
        return self.client == "httpx" or bool(self._only_httpx())

    def _only_httpx(self) -> tuple[str, ...]:
        """Keys in use that only the httpx client has."""
        return tuple(
            key for key, used in (("http2", self.http2), ("proxy", self.proxy is not None)) if used
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the flow, or of all flows, wherever they are written."""
        if self.flow:
            return tuple(step for flow in self.flow for step in flow.steps)
        return self.script.steps if self.script is not None else self.step

    @property
    def step_names(self) -> tuple[str, ...]:
        """Names of the steps; of several flows, each with the name of its flow."""
        if self.flow:
            return tuple(name for flow in self.flow for name in flow.step_names)
        return distinct_titles(self.steps)

    @property
    def step_tags(self) -> tuple[Mapping[str, str], ...]:
        """Tags of the flow's steps."""
        return tuple(step.tags for step in self.steps)

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """Method and path of each step, placeholders unfilled."""
        return tuple((step.method, step.path) for step in self.steps)

    @property
    def all_targets(self) -> tuple[WeightedTarget, ...]:
        """The targets, however they are written."""
        return self.targets if self.target is None else (WeightedTarget(url=self.target),)

    @property
    def target_names(self) -> tuple[str, ...]:
        """What rows and reports call the targets."""
        return tuple(target.title for target in self.all_targets)

    @property
    def target_urls(self) -> tuple[str, ...]:
        """What stands before the paths of the targets' requests."""
        return tuple(target.url.url for target in self.all_targets)

    @property
    def is_demo(self) -> bool:
        """True if a target is the bundled gateway, which is started for the run."""
        return any(target.url.is_demo for target in self.all_targets)

    def with_demo(self, started: Target) -> "Http":
        """This with the gateway that was started in the place of "demo"."""
        if self.target is not None:
            return attrs.evolve(self, target=started)
        # Names are from before: all that were "demo" have the same URL from now on.
        targets = (
            attrs.evolve(one, url=started, name=one.title) if one.url.is_demo else one
            for one in self.targets
        )
        return attrs.evolve(self, targets=tuple(targets))

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The hosts that it talks to, wherever they are written."""
        if self.unix_socket is not None:
            return ()
        if self.connect_to is not None:
            return (Contact(("connect_to",), self.connect_to.host),)
        by_proxy = self.proxy is not None
        targets = [
            Contact(path, target.host, by_proxy=by_proxy)
            for path, target in self._urls()
            if not target.is_demo
        ]
        if self.proxy is None:
            return tuple(targets)
        return (Contact(("proxy",), urlsplit(self.proxy).hostname or ""), *targets)

    def _urls(self) -> Iterator[tuple[Path, Target]]:
        """Where each target is written, and what it is."""
        if self.target is not None:
            yield ("target",), self.target
        for index, one in enumerate(self.targets):
            yield ("targets", index, "url"), one.url

    def _options(self, shards: int = 1, manners: Manners | None = None) -> FlowOptions:
        own = {name.lower() for name in self.headers}
        added = {**(manners.headers if manners else {}), **self._authorization()}
        return FlowOptions(
            headers={
                **{name: text for name, text in added.items() if name.lower() not in own},
                **self.headers,
            },
            timeout=self.timeout,
            on_failure=self.on_failure,
            success=self.success,
            let=self.let,
            identity=self.identity,
            shards=shards,
        )

    def _authorization(self) -> dict[str, str]:
        if self.auth is None:
            return {}
        if self.auth.bearer is not None:
            return {"authorization": f"Bearer {self.auth.bearer}"}
        encoded = base64.b64encode((self.auth.basic or "").encode()).decode()
        return {"authorization": f"Basic {encoded}"}

    async def prepare(self) -> list[Probe] | None:
        """Import the client and ask how the targets are, so that the first session is not late."""
        importlib.import_module(
            "flux.clients.httpx_client" if self._is_httpx() else "flux.clients.wire"
        )
        if self.health is None or self.is_demo:
            return None
        return await probe_all(self._probers(self.health))

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Drive every session that is due with the chosen client."""
        if self.is_demo:
            raise UsageError('target "demo" is started by flux run; here a URL is needed')
        run = context.run
        try:
            flow = self._compiled(run)
        except Violation as error:
            raise FluxError(f"stage {context.stage!r}: {error.rule}", hint=error.hint) from error
        choice = TargetChoice(
            [target.weight for target in self.all_targets],
            seed=run.seed,
            shards=run.shard.count,
            on_unhealthy=self.health.on_unhealthy if self.health else "others",
            rest_ns=self.health.interval if self.health else 0,
        )
        has_choice = len(self.all_targets) > 1 or self.health is not None
        work = Work(
            context=context,
            inbox=inbox,
            schema=context.given or ARRIVAL,
            flow=flow,
            limits=Limits(self.max_in_flight, self.on_late, self.max_lag),
            log=OutcomeLog(outbox),
            habits=context.habits,
            choice=choice if has_choice else None,
            ends_ns=end_of_source_ns(context) if context.given is ARRIVAL else None,
        )
        async with self._watching(context, choice):
            if self._is_httpx():
                await self._drive_httpx(work)
            else:
                await self._drive_wire(work)

    @asynccontextmanager
    async def _watching(self, context: Context, choice: TargetChoice) -> AsyncIterator[None]:
        """Meanwhile the choice is told how the targets are, which everybody may ask."""
        health = self.health
        rise, fall = (health.rise, health.fall) if health else (1, 1)
        standings = [Standing(name, rise, fall) for name in self.target_names]
        context.report_status("targets", partial(status_of, standings, choice))
        if health is None:
            yield
            return
        probers = self._probers(health)
        watch = Watch(probers, standings, choice, health.interval, context.run)
        watch.begin(context.prepared or await probe_all(probers))
        async with trio.open_nursery() as watching:
            watching.start_soon(watch.keep)
            yield
            watching.cancel_scope.cancel()

    def _probers(self, health: Health) -> list[Prober]:
        route = Route(
            context=self.tls.context(),
            server_name=self.tls.server_name,
            connect_to=self.connect_to,
            unix_socket=str(self.unix_socket) if self.unix_socket else None,
            source_address=self.source_address,
        )
        return [Prober(target.url, health, route) for target in self.all_targets]

    def _compiled(self, run: Run) -> Flow:
        options = self._options(run.shard.count, run.manners)
        if self.flow:
            return compile_flows(self.flow, seed=run.seed, shared=options)
        return compile_flow(self.steps, seed=run.seed, defaults=options)

    async def _drive_wire(self, work: Work) -> None:
        from flux.clients.wire import WireSettings, drive

        connect_to = self.connect_to
        common = WireSettings(
            unix_socket=str(self.unix_socket) if self.unix_socket else None,
            connect_to=(connect_to.host, connect_to.port) if connect_to else None,
            source_address=self.source_address.text if self.source_address else None,
            tls=self.tls,
            max_connections=self.max_connections,
            max_redirects=self.redirects,
        )
        targets = [
            attrs.evolve(
                common,
                scheme=target.url.scheme,
                host=target.url.host,
                port=target.url.port,
                base_path=target.url.base_path,
            )
            for target in self.all_targets
        ]
        await drive(work, *targets)

    async def _drive_httpx(self, work: Work) -> None:
        from flux.clients.httpx_client import HttpxSettings, open_pool
        from flux.clients.tasks import drive

        run = work.context.run
        settings = HttpxSettings(
            base_urls=self.target_urls,
            verify=self.tls.context(("h2", "http/1.1") if self.http2 else ("http/1.1",)),
            server_name=self.tls.server_name,
            http2=self.http2,
            proxy=self.proxy,
            max_redirects=self.redirects,
            max_connections=self.max_connections,
            unix_socket=str(self.unix_socket) if self.unix_socket else None,
            source_address=self.source_address.text if self.source_address else None,
            hosts=run.manners.hosts,
            when_refused=partial(refuse_host, run),
        )
        async with open_pool(settings, run.clock) as pool:
            await drive(work, partial(pool.open_session))
