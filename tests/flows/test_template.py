import pytest

from flux.config.problems import Violation
from flux.flows.draws import ArrivalNumber, RandomChoice, RandomInt, RandomText, RandomUuid
from flux.flows.template import Live, Named, Placeholder, parse


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("{{random.text(10)}}", RandomText(10)),
        ("{{ random.text( 10 ) }}", RandomText(10)),
        ("{{random.int(-3, 9)}}", RandomInt(-3, 9)),
        ("{{random.uuid}}", RandomUuid()),
        ("{{random.uuid()}}", RandomUuid()),
        ("""{{random.choice("a", 'b}}', "c\\"")}}""", RandomChoice(("a", "b}}", 'c"'))),
        ("{{seq}}", ArrivalNumber()),
        ("{{user}}", Live("user")),
        ("{{time.iso}}", Live("time.iso")),
        ("{{token_1}}", Named("token_1")),
    ],
)
def test_a_placeholder_is_read(text: str, meaning: object) -> None:
    assert parse(text) == (Placeholder(meaning, False, 1),)  # type: ignore[arg-type]  # a table


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("", ()),
        ("plain {text} }}", ("plain {text} }}",)),
        ('a{{"{{"}}b', ("a{{b",)),
        ("""{{'{{'}}""", ("{{",)),
        ("a{{x}}b", ("a", Placeholder(Named("x"), False, 2), "b")),
        ("{{{x}}}", ("{", Placeholder(Named("x"), False, 2), "}")),
        ("{{x|number}}", (Placeholder(Named("x"), True, 1),)),
    ],
)
def test_text_is_taken_apart(text: str, template: object) -> None:
    assert parse(text) == template


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("ab{{x", r"must close the placeholder at character 3 with }}"),
        ("{{", r"must close the placeholder at character 1 with }}"),
        ("{{}}", r"must have a name at character 3, where '}}' stands"),
        ("{{random.text(}}", r"must have a whole number or a quoted text at character 15"),
        ("{{random.text(1 2)}}", r"must have , or \) at character 17, where '2' stands"),
        ("{{a b}}", r"must have }} at character 5, where 'b' stands"),
        ("{{random:5}}", r"must have a name at character 9, where ':' stands"),
        ("{{random.text}}", r"must write random.text\(N\), at character 3"),
        ('{{random.int("a", 2)}}', r"must write random.int\(LOW, HIGH\), at character 3"),
        ("{{random.choice()}}", r"must write random.choice\("),
        ("{{seq(1)}}", r"must write seq, at character 3"),
        ("{{random.txt(3)}}", r"must not use the unknown name 'random.txt'"),
        ("{{random.text(0)}}", r"must ask for 1 to 1024 random characters, not 0"),
        ("{{random.hex(9999)}}", r"must ask for 1 to 1024 random characters, not 9999"),
        (
            "{{random.int(5, 1)}}",
            r"must have LOW and HIGH in ascending order .* random.int\(5, 1\)",
        ),
        ("{{random.int(0, 9223372036854775808)}}", r"within 64 bits"),
        ("{{seq|upper}}", r"must not use the unknown filter 'upper'"),
        ("{{time.iso|number}}", r"must use \|number only with a value that is a number"),
        ("{{random.text(3)|number}}", r"must use \|number only with a value that is a number"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_position(text: str, rule: str) -> None:
    with pytest.raises(Violation, match=rule):
        parse(text)


def test_a_misspelt_function_is_told_the_right_one() -> None:
    with pytest.raises(Violation) as caught:
        parse("{{random.txt(3)}}")
    assert caught.value.hint == "did you mean 'random.text'?"
