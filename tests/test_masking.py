"""Masking: no secret is left, what is none stays, and the masked means what the plain meant."""

from typing import Any

import pytest
import tomli_w
from hypothesis import assume, given
from hypothesis import strategies as st

from flux.config.interpolate import interpolate
from flux.masking import find_secrets, hide, mask_secrets, replace_secrets

SECRET = st.from_regex(r"[A-Za-z0-9]{4}[0-9][A-Za-z0-9_~-]{3,12}[A-Za-z0-9]", fullmatch=True)
TELLING = st.sampled_from(
    ["Authorization", "X-Api-Key", "password", "clientSecret", "access_token", "PASSWD", "pin"]
)
ANY_TEXT = st.text(st.sampled_from("ab$${}:=\"'&;/@ tokenpw-_9\\\n"), max_size=25)


def in_header(key: str, secret: str) -> dict[str, Any]:
    return {"headers": {key: secret}}


PLACES: dict[str, Any] = {
    "header": in_header,
    "header with scheme": lambda key, secret: {"headers": {"Authorization": f"Bearer {secret}"}},
    "cookie": lambda key, secret: {"headers": {"Cookie": f"sid={secret}; lang=en"}},
    "pair": lambda key, secret: {"pairs": [[key, secret]]},
    "named": lambda key, secret: {"pairs": [{"name": key, "value": secret}]},
    "line": lambda key, secret: {"lines": [f"Accept: */*\n{key}: {secret}\nHost: a"]},
    "json": lambda key, secret: {"step": [{"json": {"user": {key: secret}}}]},
    "json array": lambda key, secret: {"step": [{"json": {key: ["a", secret]}}]},
    "json text": lambda key, secret: {"body": f'{{"n": 1, "{key}": "{secret}", "m": [2]}}'},
    "form": lambda key, secret: {"body": f"user=bob&{key}={secret}&n=1"},
    "query": lambda key, secret: {"get": f"/a?x=1&{key}={secret}"},
    "password in URL": lambda key, secret: {"target": f"https://bob:{secret}@127.0.0.1/a"},
    "user in URL": lambda key, secret: {"proxy": f"http://{secret}@127.0.0.1"},
    "auth": lambda key, secret: {"auth": {"basic": f"bob:{secret}"}},
    "bearer in text": lambda key, secret: {"description": f"curl -H 'bearer {secret}'"},
}


@given(st.sampled_from(sorted(PLACES)), TELLING, SECRET, ANY_TEXT)
def test_no_secret_is_left_anywhere(place: str, key: str, secret: str, text: str) -> None:
    stage = {"use": "http", **PLACES[place](key, secret), "note": f"{text} {secret} {text}"}
    assume(secret.lower() not in str(stage).replace(secret, "").lower())
    masked = mask_secrets({"stage": [stage]})
    assert secret not in tomli_w.dumps(masked)


@given(st.sampled_from(sorted(PLACES)), TELLING, SECRET)
def test_a_masked_document_means_what_it_meant(place: str, key: str, secret: str) -> None:
    document = {"stage": [{"use": "http", **PLACES[place](key, secret), "price": "$5, ${X}, $$"}]}
    secrets = {name[2:-1]: text for text, name in find_secrets(document).items()}
    assert secrets
    again, _, problems = interpolate(mask_secrets(document), secrets)
    assert (again, problems) == (document, [])


KEYS = st.one_of(TELLING, st.sampled_from(["name", "use", "body", "value", "cookies", "capture"]))
VALUES = st.recursive(
    ANY_TEXT | st.booleans(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_document_means_what_it_meant(document: dict[str, Any]) -> None:
    secrets = {name[2:-1]: text for text, name in find_secrets(document).items()}
    again, _, problems = interpolate(mask_secrets(document), secrets)
    assert (again, problems) == (document, [])


@given(SECRET, st.sampled_from(["{}", "Bearer {}", "pre-{}-post", "{}/$$5"]))
def test_what_came_from_a_variable_goes_back_to_it(secret: str, pattern: str) -> None:
    written = {"headers": {"X-Auth-Token": pattern.format("${MY_VARIABLE:-default7}")}}
    document, origins, _ = interpolate(written, {"MY_VARIABLE": secret})
    masked = mask_secrets(document, origins)
    assert secret not in str(masked)
    assert "default7" not in str(masked)
    again, *_ = interpolate(masked, {"MY_VARIABLE": secret, **_others(document, origins)})
    assert again == document


def _others(document: dict[str, Any], origins: Any) -> dict[str, str]:
    return {name[2:-1]: text for text, name in find_secrets(document, origins).items()}


def test_a_variable_of_a_telling_name_is_secret_under_any_key() -> None:
    written = {"target": "http://${HOST}/a?id=${MY_TOKEN}"}
    document, origins, _ = interpolate(written, {"HOST": "127.0.0.1", "MY_TOKEN": "qwerty"})
    assert mask_secrets(document, origins) == {"target": "http://127.0.0.1/a?id=${MY_TOKEN}"}


def test_user_and_password_of_two_variables_go_back_to_both() -> None:
    written = {"auth": {"basic": "${API_USER}:${API_PASSWORD}"}}
    environment = {"API_USER": "bob", "API_PASSWORD": "builder"}
    document, origins, _ = interpolate(written, environment)
    assert mask_secrets(document, origins) == written


def test_variables_that_cannot_be_told_apart_become_one_secret() -> None:
    written = {"password": "${A}${B}"}
    document, origins, _ = interpolate(written, {"A": "first", "B": "second"})
    assert mask_secrets(document, origins) == {"password": "${PASSWORD}"}


def test_a_default_that_was_used_is_not_left_in_the_session() -> None:
    document, origins, _ = interpolate({"password": "${PW:-hunter2}"}, {})
    assert mask_secrets(document, origins) == {"password": "${PW}"}


@pytest.mark.parametrize(
    "document",
    [
        {"password": "{{random.text(10)}}"},
        {"headers": {"Authorization": "Bearer {{login.token}}", "Cookie": "sid={{sid}}"}},
        {"body": '{"username": "{{seq}}", "password": "{{random.text(10)}}", "pin": {{n|number}}}'},
        {"capture": {"token": "json.token", "secret": {"regex": "token=([^;]+)"}}},
        {"expect": {"body": {"token": "present"}}},
        {"cookies": "session"},
        {"max_tokens": 5, "password": ""},
        {"description": "basic understanding of the price: $5"},
        {"target": "http://127.0.0.1:8080/a@b"},
    ],
)
def test_what_is_no_secret_stays(document: dict[str, Any]) -> None:
    assert mask_secrets(document) == document
    assert find_secrets(document) == {}


def test_a_secret_number_of_a_payload_becomes_a_reference() -> None:
    document = {"json": {"pin": 867530, "n": 867530}, "note": "867530", "tokens": 867530}
    assert mask_secrets(document) == {
        "json": {"pin": "${JSON_PIN}", "n": 867530},
        "note": "${JSON_PIN}",
        "tokens": 867530,
    }


def test_a_reference_is_named_after_its_place() -> None:
    document = {
        "stage": [
            {"use": "http", "step": [{"name": "log in", "json": {"password": "hunter22"}}]},
            {"use": "http", "name": "second", "headers": {"x-api-key": "a", "x_api_key": "b"}},
        ]
    }
    assert find_secrets(document) == {
        "hunter22": "${STAGE_HTTP_STEP_LOG_IN_JSON_PASSWORD}",
        "a": "${STAGE_SECOND_HEADERS_X_API_KEY}",
        "b": "${STAGE_SECOND_HEADERS_X_API_KEY_2}",
    }


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("GET https://bob:pw@h/ begins", "GET https://bob:***@h/ begins"),
        ("{'Authorization': 'Bearer abc', 'X': 1}", "{'Authorization': 'Bearer ***', 'X': 1}"),
        ("got Set-Cookie: a=b; c=d", "got Set-Cookie: ***"),
        ("body is user=a&password=hunter2&n=1", "body is user=a&password=***&n=1"),
        ('json is {"token": "x y", "n": 1}', 'json is {"token": "***", "n": 1}'),
        ("run started in results/result_3", "run started in results/result_3"),
        ("key is known-one here", "key is *** here"),
    ],
)
def test_a_line_is_shown_without_secrets(line: str, shown: str) -> None:
    assert hide(line, {"known-one", "is"}) == shown


@given(ANY_TEXT, SECRET)
def test_what_is_hidden_is_gone(text: str, secret: str) -> None:
    assert secret not in hide(f"{text}{secret}{text}", {secret})


def test_a_long_word_takes_no_longer_than_its_length() -> None:
    """Read again from each of its letters, 300,000 of them would take minutes."""
    for word in ("token" * 60_000, "a" * 300_000, "token." * 50_000, "a://" + "b" * 300_000):
        assert hide(word, ()) == word


def test_short_secrets_are_not_replaced_in_other_texts() -> None:
    assert replace_secrets("abc abcdef", {"abc": "${A}", "abcdef": "${B}"}) == "abc ${B}"
    document = {"password": "abc", "note": "abc"}
    assert mask_secrets(document) == {"password": "${PASSWORD}", "note": "abc"}
