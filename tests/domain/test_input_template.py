"""Paths and transformers. Source: "Amazon EventBridge input transformation", user guide."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.domain.input_template import InputTransformer, InvalidInput, Occasion, at_path, read_path

RULE = "arn:aws:events:us-east-1:111122223333:rule/watch"
NOW = Occasion(RULE, "watch", "2026-01-01T00:00:01Z")
EVENT = {
    "source": "aws.secretsmanager",
    "detail-type": "Secret Label Updated",
    "resources": ["arn:first", "arn:second"],
    "detail": {
        "name": 'app/"db"',
        "count": 3,
        "on": True,
        "none": None,
        "tags": {"a": "b"},
        "list": [1, "x"],
        "odd key": 1,
    },
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", EVENT),
        ("$.source", "aws.secretsmanager"),
        ("$.detail-type", "Secret Label Updated"),
        ("$.resources[1]", "arn:second"),
        ("$.detail.tags.a", "b"),
        ("$['detail']['odd key']", 1),
        ('$["source"]', "aws.secretsmanager"),
        ("$.detail.none", None),
        ("$.detail.missing", "absent"),
        ("$.resources[2]", "absent"),
        ("$.source[0]", "absent"),
        ("$.resources.name", "absent"),
        ("$.detail.count.deeper", "absent"),
    ],
)
def test_a_path_leads_to_a_value_or_nowhere(path, value):
    assert at_path(EVENT, read_path(path), "absent") == value


@pytest.mark.parametrize(
    "path", ["", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$.*", "$.a b", "$" + ".a" * 65]
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidInput):
        read_path(path)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('{"n": <name>}', '{"n": "app/\\"db\\""}'),
        ('{"n": "secret <name>!"}', '{"n": "secret app/\\"db\\"!"}'),
        ('"<type> of <count>"', '"Secret Label Updated of 3"'),
        ('{"c": <count>, "o": <on>, "z": <none>}', '{"c": 3, "o": true, "z": null}'),
        ('{"t": <tags>, "l": <list>}', '{"t": {"a":"b"}, "l": [1,"x"]}'),
        ('{"t": "in <tags>"}', '{"t": "in {\\"a\\":\\"b\\"}"}'),
        ('{"m": <missing>, "s": "<missing>"}', '{"m": "", "s": ""}'),
        ('{"r": <aws.events.rule-arn>, "w": "<aws.events.rule-name>"}', f'{{"r": "{RULE}", "w": "watch"}}'),
        ('{"t": <aws.events.event.ingestion-time>}', '{"t": "2026-01-01T00:00:01Z"}'),
        ('{"a": "<b>bold</b> <name"}', '{"a": "<b>bold</b> <name"}'),
        ('{"q": "a \\" <count>", "v": <count>}', '{"q": "a \\" 3", "v": 3}'),
    ],
)
def test_variables_become_values_where_they_are_bare_and_text_inside_quotes(template, text):
    paths = {name: f"$.detail.{name}" for name in ("name", "count", "on", "none", "tags", "list", "missing")}
    made = InputTransformer({**paths, "type": "$.detail-type"}, template).render(EVENT, NOW)
    assert made == text
    json.loads(made)


def test_the_event_itself_is_a_value():
    made = json.loads(
        InputTransformer({}, '{"e": <aws.events.event.json>, "h": <aws.events.event>}').render(EVENT, NOW)
    )
    assert made["e"] == EVENT
    assert made["h"] == {key: value for key, value in EVENT.items() if key != "detail"}


@pytest.mark.parametrize(
    ("paths", "template"),
    [
        ({"AWSname": "$.a"}, "<AWSname>"),
        ({"aws.events.rule-arn": "$.a"}, "x"),
        ({"a b": "$.a"}, "x"),
        ({"a": "a"}, "<a>"),
        ({}, '"<aws.events.event.json>"'),
        ({f"v{at}": "$.a" for at in range(101)}, "x"),
    ],
)
def test_what_cannot_be_used_is_refused(paths, template):
    with pytest.raises(InvalidInput):
        InputTransformer(paths, template)


@given(st.text())
def test_no_value_of_an_event_leaves_the_quotes_it_was_put_between(value):
    made = InputTransformer({"v": "$.v"}, '{"a": "<v>", "b": <v>}').render({"v": value}, NOW)
    assert json.loads(made) == {"a": value, "b": value}
