"""What k6 and Locust are given to run: the same requests, random values and checks as flux.

Each is written the way its own manual writes it, less what costs time without a use here: k6 keeps
no bodies that are not checked and no tags; Locust's users wait for nothing.
"""

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["get", "register"]
"""One GET of /health; or the flow: GET /health, then POST /auth/register, both checked."""

K6_GET = """\
import http from 'k6/http';

export default function () {
  http.get(`${__ENV.BASE_URL}/health`);
}
"""

K6_REGISTER = """\
import http from 'k6/http';
import { check } from 'k6';

const health = `${__ENV.BASE_URL}/health`;
const register = `${__ENV.BASE_URL}/auth/register`;
const withBody = { headers: { 'Content-Type': 'application/json' }, responseType: 'text' };

function word() {
  return Math.random().toString(36).slice(2, 14);
}

export default function () {
  check(http.get(health), { 'status is 200': (answer) => answer.status === 200 });
  const body = JSON.stringify({ username: word(), password: word() });
  check(http.post(register, body, withBody), {
    'status is 201': (answer) => answer.status === 201,
    'user was created': (answer) => answer.json('created') === true,
  });
}
"""

LOCUST_GET = """\
from locust import FastHttpUser, task


class Get(FastHttpUser):
    @task
    def health(self):
        self.client.get("/health")
"""

LOCUST_REGISTER = """\
import random

from locust import FastHttpUser, task


def word():
    return f"{random.getrandbits(48):012x}"


class Register(FastHttpUser):
    @task
    def register(self):
        with self.client.get("/health", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("status is not 200")
        body = {"username": word(), "password": word()}
        with self.client.post("/auth/register", json=body, catch_response=True) as answer:
            if answer.status_code != 201:
                answer.failure("status is not 201")
            elif answer.json().get("created") is not True:
                answer.failure("user was not created")
"""

K6_SCRIPTS: dict[Kind, str] = {"get": K6_GET, "register": K6_REGISTER}
LOCUST_FILES: dict[Kind, str] = {"get": LOCUST_GET, "register": LOCUST_REGISTER}
