"""`http`: an executor that drives a flow of HTTP requests against a target."""

import base64
import importlib
import pathlib
import ssl
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, ClassVar, Literal, TypeAlias

import attrs

from flux.arrivals import end_of_source_ns
from flux.clients.outcome_log import OutcomeLog
from flux.clients.target import Address, Auth, HostPort, Target, Tls
from flux.clients.work import Limits, OnLate, Work
from flux.config.problems import Violation
from flux.config.rules import above, at_least
from flux.errors import FluxError, UsageError
from flux.flows.check import check_flow
from flux.flows.compile import compile_flow
from flux.flows.options import FlowOptions, Success
from flux.flows.script_file import ScriptFile
from flux.flows.step import OnFailure, Step
from flux.schemas import ARRIVAL, OUTCOME, ROSTER, Schema
from flux.stage import Context, Inbox, Outbox
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

    target: Target
    """The server under test, as in "http://127.0.0.1:8080/api"; "demo" starts the bundled gateway
    on a free port and stops it with the run."""
    step: tuple[Step, ...] = ()
    """The flow, as [[stage.step]] tables in order."""
    flow: ScriptFile | None = None
    """A userflux YAML script whose steps are the flow, in place of `step`."""
    client: ClientName | None = None
    """"wire" is fast and speaks HTTP/1.1; "httpx" is slow and also speaks HTTP/2 and through
    proxies. When absent: "wire", unless the keys below ask for what only "httpx" has."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Headers of every request; a step's own replace them."""
    let: Mapping[str, str] = attrs.field(factory=dict)
    """Values made once per session, for use as {{name}}: { user = "{{random.text(10)}}" }."""
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
    max_lag: Duration | None = None
    """An arrival that could not start this long after it was due is dropped; never if absent."""
    max_connections: Annotated[int, at_least(1)] | None = None
    """Connections open at once; as many as sessions need when absent."""
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
        if bool(self.step) == (self.flow is not None):
            yield Violation(
                "needs either [[stage.step]] tables or flow",
                hint='the shortest flow is step = [{ get = "/" }]',
            )
        elif self.step:
            yield from check_flow(self.step, self._options())
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

    def _is_httpx(self) -> bool:
        return self.client == "httpx" or bool(self._only_httpx())

    def _only_httpx(self) -> tuple[str, ...]:
        """Keys in use that only the httpx client has."""
        return tuple(
            key for key, used in (("http2", self.http2), ("proxy", self.proxy is not None)) if used
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """The flow's steps, wherever they are written."""
        return self.flow.steps if self.flow is not None else self.step

    @property
    def step_names(self) -> tuple[str, ...]:
        """Names of the flow's steps."""
        return tuple(step.title for step in self.steps)

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """Method and URL of each step, placeholders unfilled."""
        return tuple((step.method, self.target.url + step.path) for step in self.steps)

    def _options(self, shards: int = 1) -> FlowOptions:
        return FlowOptions(
            headers={**self._authorization(), **self.headers},
            timeout=self.timeout,
            on_failure=self.on_failure,
            success=self.success,
            let=self.let,
            shards=shards,
        )

    def _authorization(self) -> dict[str, str]:
        if self.auth is None:
            return {}
        if self.auth.bearer is not None:
            return {"authorization": f"Bearer {self.auth.bearer}"}
        encoded = base64.b64encode((self.auth.basic or "").encode()).decode()
        return {"authorization": f"Basic {encoded}"}

    def prepare(self) -> None:
        """Import the client before the clock starts, so that the first session is not late."""
        importlib.import_module(
            "flux.clients.httpx_client" if self._is_httpx() else "flux.clients.wire"
        )

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Drive every session that is due with the chosen client."""
        if self.target.is_demo:
            raise UsageError('target "demo" is started by flux run; here a URL is needed')
        run = context.run
        try:
            flow = compile_flow(self.steps, seed=run.seed, defaults=self._options(run.shard.count))
        except Violation as error:
            raise FluxError(f"stage {context.stage!r}: {error.rule}", hint=error.hint) from error
        work = Work(
            context=context,
            inbox=inbox,
            schema=context.given or ARRIVAL,
            flow=flow,
            limits=Limits(self.max_in_flight, self.on_late, self.max_lag),
            log=OutcomeLog(outbox),
            iterations=context.source if context.given is ROSTER else None,
            ends_ns=end_of_source_ns(context),
        )
        if self._is_httpx():
            await self._drive_httpx(work)
        else:
            await self._drive_wire(work)

    async def _drive_wire(self, work: Work) -> None:
        from flux.clients.wire import WireSettings, drive

        connect_to = self.connect_to
        settings = WireSettings(
            scheme=self.target.scheme,
            host=self.target.host,
            port=self.target.port,
            base_path=self.target.base_path,
            unix_socket=str(self.unix_socket) if self.unix_socket else None,
            connect_to=(connect_to.host, connect_to.port) if connect_to else None,
            source_address=self.source_address.text if self.source_address else None,
            tls=self.tls,
            max_connections=self.max_connections,
            max_redirects=self.redirects,
        )
        await drive(work, settings)

    async def _drive_httpx(self, work: Work) -> None:
        from flux.clients.httpx_client import HttpxSettings, open_pool
        from flux.clients.tasks import drive

        settings = HttpxSettings(
            base_url=self.target.url,
            verify=self.tls.context(("h2", "http/1.1") if self.http2 else ("http/1.1",)),
            server_name=self.tls.server_name,
            http2=self.http2,
            proxy=self.proxy,
            max_redirects=self.redirects,
            max_connections=self.max_connections,
            unix_socket=str(self.unix_socket) if self.unix_socket else None,
            source_address=self.source_address.text if self.source_address else None,
        )
        async with open_pool(settings, work.context.run.clock) as pool:
            await drive(work, partial(pool.open_session))
