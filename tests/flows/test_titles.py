"""What reports call the steps of a flow."""

from flux.flows.step import distinct_titles
from tests.stages.loading import load


def test_steps_that_would_have_one_name_get_a_number() -> None:
    text = 'target = "http://127.0.0.1"\nstep = [{ get = "/y" }, { post = "/o" }, { get = "/y" }]'
    http = load("http", text)
    assert http.step_names == ("GET /y", "POST /o", "GET /y #2")


def test_a_number_that_is_taken_already_is_passed_over() -> None:
    names = ("a", "a #2", "a")
    steps = ", ".join(f'{{ get = "/", name = "{name}" }}' for name in names)
    http = load("http", f'target = "http://127.0.0.1"\nstep = [{steps}]')
    assert distinct_titles(http.step) == ("a", "a #2", "a #3")
