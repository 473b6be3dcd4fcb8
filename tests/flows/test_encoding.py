import json
from urllib.parse import parse_qsl, unquote

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from flux.flows import encoding
from tests.flows.building import body, first_send, flow_of, headers, target

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ENCODERS = (encoding.plain, encoding.json_string, encoding.percent, encoding.form)


@given(TEXT)
def test_a_json_string_reads_back(text: str) -> None:
    assert json.loads(b'"' + encoding.json_string(text) + b'"') == text


@given(TEXT)
def test_percent_encoding_reads_back_and_has_unreserved_characters_only(text: str) -> None:
    encoded = encoding.percent(text).decode()
    assert unquote(encoded, errors="strict") == text
    assert not set(encoded) & set("&=+?/# :\"'<>{}|\\^`")


@given(TEXT, TEXT)
def test_a_form_reads_back(name: str, value: str) -> None:
    encoded = encoding.form(name) + b"=" + encoding.form(value)
    assert parse_qsl(encoded.decode(), keep_blank_values=True) == [(name, value)]


@given(TEXT, TEXT)
def test_encodings_of_parts_add_up(first: str, second: str) -> None:
    for encode in ENCODERS:
        assert encode(first) + encode(second) == encode(first + second)


@given(TEXT)
def test_any_constant_text_reaches_body_query_and_form_unchanged(text: str) -> None:
    written = text.replace("{", '{{"{"}}')
    step = {"post": "/x", "query": {"q": written}}
    send = first_send(flow_of(tomli_w.dumps(step | {"json": {"v": [written]}})))
    assert json.loads(body(send)) == {"v": [text]}
    assert parse_qsl(target(send).partition("?")[2], keep_blank_values=True) == [("q", text)]
    send = first_send(flow_of(tomli_w.dumps(step | {"form": {"f": written}})))
    assert parse_qsl(body(send), keep_blank_values=True) == [("f", text)]


def test_what_cannot_stand_in_a_path_is_encoded_and_the_rest_left_alone() -> None:
    send = first_send(flow_of('get = "/a b/%20/ü?x=[1]&y=é&z=a+b"'))
    assert target(send) == "/a%20b/%20/%C3%BC?x=[1]&y=%C3%A9&z=a+b"


def test_the_content_type_follows_the_body_unless_given() -> None:
    def content_type(text: str) -> str | None:
        return headers(first_send(flow_of(f'post = "/x"\n{text}'))).get("content-type")

    assert content_type("json = 1") == "application/json"
    assert content_type("form = { a = 1 }") == "application/x-www-form-urlencoded"
    assert content_type('body = "x"') is None
    given = headers(first_send(flow_of('post="/x"\njson={}\nheaders={Content-Type="text/x"}')))
    assert given == {"Content-Type": "text/x"}
