"""The lanes of the httpx client: one request each, reused, bounded, given back whatever happens."""

from collections.abc import AsyncIterator

import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from flux.clients.httpx_lanes import Lanes


class Body(httpx.AsyncByteStream):
    """A body that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"hi"

    async def aclose(self) -> None:
        self.closed += 1


class Lane(httpx.AsyncBaseTransport):
    """Answers requests, one at a time, until it is told to fail or to hang."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.bodies: list[Body] = []
        self.is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append(path)
        assert all(body.closed for body in self.bodies), "two requests at once"
        if path == "/fail":
            raise httpx.ConnectError("refused")
        if path == "/hang":
            await trio.sleep_forever()
        self.bodies.append(Body())
        return httpx.Response(200, stream=self.bodies[-1])

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.fixture
def opened() -> list[Lane]:
    """The lanes that were opened, in order."""
    return []


def lanes_of(opened: list[Lane], most: int | None = None) -> Lanes:
    def open_lane() -> Lane:
        opened.append(Lane())
        return opened[-1]

    return Lanes(open_lane, most)


async def begin(lanes: Lanes, path: str = "/") -> httpx.Response:
    return await lanes.handle_async_request(httpx.Request("GET", f"http://127.0.0.1{path}"))


async def test_a_request_finds_the_lane_that_was_used_last(opened: list[Lane]) -> None:
    lanes = lanes_of(opened)
    first, second = await begin(lanes, "/1"), await begin(lanes, "/2")
    await first.aclose()
    await second.aclose()
    await (await begin(lanes, "/3")).aclose()
    await (await begin(lanes, "/4")).aclose()
    assert [lane.requests for lane in opened] == [["/1"], ["/2", "/3", "/4"]]


async def test_a_lane_is_taken_until_its_response_is_closed(opened: list[Lane]) -> None:
    lanes = lanes_of(opened)
    response = await begin(lanes)
    await response.aread()
    assert [body.closed for body in opened[0].bodies] == [1]
    await begin(lanes)
    assert len(opened) == 1


async def test_no_more_lanes_are_used_at_once_than_allowed(opened: list[Lane]) -> None:
    lanes = lanes_of(opened, most=2)
    responses: list[httpx.Response] = []

    async def keep() -> None:
        responses.append(await begin(lanes))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(keep)
        await wait_all_tasks_blocked()
        assert (len(responses), len(opened)) == (2, 2)
        await responses[0].aclose()
    assert (len(responses), len(opened)) == (3, 2)


async def test_a_failed_request_gives_its_lane_back(opened: list[Lane]) -> None:
    lanes = lanes_of(opened, most=1)
    with pytest.raises(httpx.ConnectError, match="refused"):
        await begin(lanes, "/fail")
    await begin(lanes)
    assert [lane.requests for lane in opened] == [["/fail", "/"]]


async def test_a_cancelled_request_gives_its_lane_back(opened: list[Lane]) -> None:
    lanes = lanes_of(opened, most=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(begin, lanes, "/hang")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await begin(lanes)
    assert [lane.requests for lane in opened] == [["/hang", "/"]]


async def test_closing_a_response_twice_gives_the_lane_back_once(opened: list[Lane]) -> None:
    lanes = lanes_of(opened, most=1)
    stream = (await begin(lanes)).stream
    assert isinstance(stream, httpx.AsyncByteStream)
    await stream.aclose()
    await stream.aclose()
    await begin(lanes)
    with trio.move_on_after(0) as scope:
        await begin(lanes)
    assert scope.cancelled_caught


async def test_the_end_closes_every_lane(opened: list[Lane]) -> None:
    async with lanes_of(opened) as lanes:
        await (await begin(lanes)).aclose()
        await begin(lanes)
        await begin(lanes)
    assert [lane.is_closed for lane in opened] == [True, True]
