"""A target that is slow never has more requests at once than `max_in_flight` allows."""

import pytest

from tests.faults.case import Case
from tests.faults.running import run_case
from tests.faults.target import open_target

SLOW = """\
seed = 5
duration = "400ms"
drain = "5s"
[[stage]]
use = "constant"
rate = "200/s"
[[stage]]
use = "http"
target = "{{url}}"
client = "{client}"
max_in_flight = 4
on_late = "{on_late}"
step = [{{ get = "/slow/40" }}]
[[stage]]
use = "csv"
[[stage]]
use = "json"
"""


@pytest.mark.parametrize("client", ["wire", "httpx"])
@pytest.mark.parametrize("on_late", ["queue", "drop"])
async def test_a_slow_target_never_has_more_at_once_than_allowed(client: str, on_late: str) -> None:
    text = SLOW.format(client=client, on_late=on_late)
    async with open_target() as target:
        report = await run_case(Case(0, text.replace("{url}", target.url), ()), target)
        peak = await target.peak()
    assert report.problems == ()
    assert peak == 4  # as the target counts them
    assert report.sessions["planned"] == 80
    if on_late == "queue":
        assert report.sessions["succeeded"] == 80
        assert report.sessions["held"] is not None
        assert report.sessions["held"] > 60
    else:
        # A place is taken for 40 ms at the least: 44 can start in 400 ms.
        assert report.sessions["dropped"] is not None
        assert report.sessions["dropped"] >= 36
