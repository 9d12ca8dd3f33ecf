"""What each managed rule thinks of a secret: tables of values."""

import json

import pytest

from geumgo.services.config.domain_rules import (
    MANAGED,
    ParametersInvalid,
    SecretFacts,
    hours_between,
    refuse_parameters,
    rotation_success,
)
from tests.clock import DAY_MS, START_MS

NOW = START_MS
TODAY = NOW - NOW % DAY_MS
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def secret(**facts) -> SecretFacts:
    known = {"created_at_ms": NOW - 400 * DAY_MS, "changed_at_ms": NOW - 400 * DAY_MS, **facts}
    return SecretFacts("arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf", "a", **known)


def judged(identifier: str, given: dict[str, str], **facts) -> str:
    return MANAGED[identifier].judge(secret(**facts), given, NOW, "").compliance


@pytest.mark.parametrize(
    ("given", "facts", "verdict"),
    [
        ({}, {}, "NON_COMPLIANT"),
        ({}, {"accessed_at_ms": TODAY}, "COMPLIANT"),
        ({}, {"accessed_at_ms": TODAY - 90 * DAY_MS}, "COMPLIANT"),  # perhaps at the last minute of that day
        ({}, {"accessed_at_ms": TODAY - 91 * DAY_MS}, "NON_COMPLIANT"),
        ({"unusedForDays": "30"}, {"accessed_at_ms": TODAY - 30 * DAY_MS}, "COMPLIANT"),
        ({"unusedForDays": "30"}, {"accessed_at_ms": TODAY - 31 * DAY_MS}, "NON_COMPLIANT"),
        ({"unusedForDays": "1"}, {"accessed_at_ms": TODAY - DAY_MS}, "COMPLIANT"),
        ({"unusedForDays": "1"}, {"accessed_at_ms": TODAY - 2 * DAY_MS}, "NON_COMPLIANT"),
        ({"unusedForDays": "30"}, {"created_at_ms": NOW - 30 * DAY_MS + 1}, "COMPLIANT"),  # never read, and young
        ({"unusedForDays": "30"}, {"created_at_ms": NOW - 30 * DAY_MS}, "NON_COMPLIANT"),
        ({"unusedForDays": "3650"}, {}, "COMPLIANT"),
    ],
)
def test_a_secret_is_unused_when_nobody_read_it_for_that_many_whole_days(given, facts, verdict):
    assert judged("SECRETSMANAGER_SECRET_UNUSED", given, **facts) == verdict


@pytest.mark.parametrize(
    ("given", "facts", "verdict"),
    [
        ({}, {}, "NON_COMPLIANT"),
        ({}, {"rotates": True}, "COMPLIANT"),
        ({"maximumAllowedRotationFrequency": "30"}, {"rotates": True, "rotation": {"AutomaticallyAfterDays": 30}}, "COMPLIANT"),
        ({"maximumAllowedRotationFrequency": "30"}, {"rotates": True, "rotation": {"AutomaticallyAfterDays": 31}}, "NON_COMPLIANT"),
        ({"maximumAllowedRotationFrequency": "30"}, {"rotates": False, "rotation": {"AutomaticallyAfterDays": 1}}, "NON_COMPLIANT"),
        ({"maximumAllowedRotationFrequencyInHours": "12"}, {"rotates": True, "rotation": {"ScheduleExpression": "rate(12 hours)"}}, "COMPLIANT"),
        ({"maximumAllowedRotationFrequencyInHours": "12"}, {"rotates": True, "rotation": {"ScheduleExpression": "rate(13 hours)"}}, "NON_COMPLIANT"),
        ({"maximumAllowedRotationFrequency": "31"}, {"rotates": True, "rotation": {"ScheduleExpression": "cron(0 8 1 * ? *)"}}, "COMPLIANT"),
        ({"maximumAllowedRotationFrequency": "30"}, {"rotates": True, "rotation": {"ScheduleExpression": "cron(0 8 1 * ? *)"}}, "NON_COMPLIANT"),
    ],
)  # fmt: skip
def test_rotation_is_enabled_and_often_enough(given, facts, verdict):
    assert judged("SECRETSMANAGER_ROTATION_ENABLED_CHECK", given, **facts) == verdict


@pytest.mark.parametrize(
    ("given", "facts", "verdict"),
    [
        ({}, {}, "NON_COMPLIANT"),
        ({}, {"created_at_ms": NOW - 90 * DAY_MS}, "COMPLIANT"),
        ({}, {"created_at_ms": NOW - 90 * DAY_MS - 1}, "NON_COMPLIANT"),
        ({}, {"rotated_at_ms": NOW - 90 * DAY_MS}, "COMPLIANT"),
        ({"maxDaysSinceRotation": "7"}, {"rotated_at_ms": NOW - 7 * DAY_MS - 1}, "NON_COMPLIANT"),
    ],
)
def test_a_secret_was_rotated_within_that_many_days(given, facts, verdict):
    assert judged("SECRETSMANAGER_SECRET_PERIODIC_ROTATION", given, **facts) == verdict


@pytest.mark.parametrize(
    ("given", "facts", "verdict"),
    [
        ({}, {}, "NON_COMPLIANT"),
        ({}, {"kms_key": "alias/aws/secretsmanager"}, "NON_COMPLIANT"),
        ({}, {"kms_key": KEY, "aws_key": True}, "NON_COMPLIANT"),
        ({}, {"kms_key": KEY}, "COMPLIANT"),
        ({"kmsKeyArns": f"{KEY}, {KEY}2"}, {"kms_key": KEY}, "COMPLIANT"),
        ({"kmsKeyArns": f"{KEY}2"}, {"kms_key": KEY}, "NON_COMPLIANT"),
    ],
)
def test_a_secret_is_under_a_key_of_its_owner(given, facts, verdict):
    assert judged("SECRETSMANAGER_USING_CMK", given, **facts) == verdict


RULES = {"AutomaticallyAfterDays": 30}


def test_a_rotation_that_was_missed_is_not_hidden_by_the_next_attempt():
    def look(at_ms: int, next_ms: int, memo: str, rotated_ms: int | None = None, rules=RULES) -> tuple[str, str]:
        facts = secret(rotates=True, rotation=rules, next_rotation_at_ms=next_ms, rotated_at_ms=rotated_ms)
        said = rotation_success(facts, {}, at_ms, memo)
        return said.compliance, said.memo

    said, memo = look(NOW, NOW + DAY_MS, "")
    assert said == "COMPLIANT"
    said, memo = look(NOW + DAY_MS, NOW + DAY_MS, memo)
    assert said == "COMPLIANT"  # it has until then
    said, memo = look(NOW + DAY_MS + 1, NOW + 31 * DAY_MS, memo)
    assert said == "NON_COMPLIANT"  # the date moved on, and nothing was rotated
    assert look(NOW + 2 * DAY_MS, NOW + 32 * DAY_MS, memo, rotated_ms=NOW + 2 * DAY_MS)[0] == "COMPLIANT"
    assert look(NOW + 2 * DAY_MS, NOW + 9 * DAY_MS, memo, rules={"AutomaticallyAfterDays": 7})[0] == "COMPLIANT"


def test_a_secret_that_does_not_rotate_by_itself_has_no_rotation_to_miss():
    assert rotation_success(secret(), {}, NOW, "").compliance == "NOT_APPLICABLE"


@pytest.mark.parametrize(
    ("rotation", "hours"),
    [
        (None, None),
        ({}, None),
        ({"AutomaticallyAfterDays": 7}, 168),
        ({"ScheduleExpression": "rate(4 hours)"}, 4),
        ({"ScheduleExpression": "cron(0 0 1 1 ? *)"}, 365 * 24),
        ({"ScheduleExpression": "cron(0 0 ? * MON,THU *)"}, 96),
        ({"ScheduleExpression": "something else"}, None),
    ],
)
def test_the_longest_time_between_two_rotations(rotation, hours):
    assert hours_between(rotation) == hours


@pytest.mark.parametrize(
    ("identifier", "parameters", "sentence"),
    [
        ("SECRETSMANAGER_SECRET_UNUSED", "{", "Invalid json { passed in the InputParameters field"),
        ("SECRETSMANAGER_SECRET_UNUSED", "[]", "Invalid json [] passed in the InputParameters field"),
        ("SECRETSMANAGER_SECRET_UNUSED", {"unusedForDays": 30}, "Blank spaces are not acceptable for input parameter: unusedForDays."),
        ("SECRETSMANAGER_SECRET_UNUSED", {"unusedForDays": " "}, "Blank spaces are not acceptable for input parameter: unusedForDays."),
        ("SECRETSMANAGER_SECRET_UNUSED", {"days": "3"}, 'Unknown parameters provided in the inputParameters: {"days": "3"}'),
        ("SECRETSMANAGER_SECRET_UNUSED", {"unusedForDays": "0"}, None),
        ("SECRETSMANAGER_SECRET_UNUSED", {"unusedForDays": "3651"}, None),
        ("SECRETSMANAGER_SECRET_UNUSED", {"unusedForDays": "1.5"}, None),
        ("SECRETSMANAGER_SECRET_UNUSED", {"unusedForDays": "٣"}, None),
        ("SECRETSMANAGER_USING_CMK", {"kmsKeyArns": "alias/a"}, None),
        ("SECRETSMANAGER_SCHEDULED_ROTATION_SUCCESS_CHECK", {"x": "1"}, None),
    ],
)  # fmt: skip
def test_parameters_that_a_rule_does_not_take_are_refused(identifier, parameters, sentence):
    text = parameters if isinstance(parameters, str) else json.dumps(parameters)
    with pytest.raises(ParametersInvalid) as refusal:
        refuse_parameters(identifier, text)
    assert sentence in (None, str(refusal.value))


@pytest.mark.parametrize("days", ["1", "90", "3650"])
def test_parameters_that_a_rule_takes(days):
    refuse_parameters("SECRETSMANAGER_SECRET_UNUSED", json.dumps({"unusedForDays": days}))
    refuse_parameters("SECRETSMANAGER_SECRET_UNUSED", None)
