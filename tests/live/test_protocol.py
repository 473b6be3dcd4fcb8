"""The lines of the control socket."""

import json

import pytest

from flux.live.protocol import BadRequest, Request, answer, read_request, refusal


def test_a_request_comes_back_as_it_was_sent() -> None:
    request = Request("spike", {"factor": 3.0, "seconds": 20.0})
    assert read_request(request.line()) == request


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (b"", "one line of JSON"),
        (b"\xff\xfe", "one line of JSON"),
        (b"[1]", "must be a JSON object"),
        (b'{"command": "status"}', "speaks version 1"),
        (b'{"version": 2, "command": "status"}', "speaks version 1"),
        (b'{"version": 1}', "no such command None"),
        (b'{"version": 1, "command": "paus"}', "did you mean 'pause'"),
        (b'{"version": 1, "command": ["stop"]}', "no such command"),
        (b'{"version": 1, "command": "pause", "factor": 1}', "pause has no key 'factor'"),
        (b'{"version": 1, "command": "rate", "factor": "2"}', "factor must be a number, got '2'"),
        (b'{"version": 1, "command": "rate", "factor": true}', "factor must be a number"),
        (b'{"version": 1, "command": "rate", "factor": NaN}', "factor must be a number"),
    ],
)
def test_what_makes_no_sense_is_told(line: bytes, match: str) -> None:
    with pytest.raises(BadRequest, match=match):
        read_request(line)


def test_answers_are_one_line_each() -> None:
    assert json.loads(answer({"a": "b\nc"})) == {"version": 1, "ok": True, "status": {"a": "b\nc"}}
    assert json.loads(refusal("no")) == {"version": 1, "ok": False, "error": "no"}
    assert answer({"a": "b\nc"}).count(b"\n") == refusal("x\ny").count(b"\n") == 1
