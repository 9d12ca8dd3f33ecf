"""Rules look at secrets: on a schedule, on changes, when asked."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.services.config import settling
from tests.bench.bench_config import fill
from tests.clock import DAY_MS

UNUSED = "SECRETSMANAGER_SECRET_UNUSED"
USING_CMK = "SECRETSMANAGER_USING_CMK"


def test_the_rule_lists_exactly_what_nobody_reads(place_on_each):
    place, secrets = place_on_each, place_on_each.secrets
    for number in range(30):
        secrets.create_secret(Name=f"s{number:02}", SecretString="x")
    place.house.clock.turn(days=40)
    for number in range(0, 30, 3):
        secrets.get_secret_value(SecretId=f"s{number:02}")
    place.rule(UNUSED, parameters={"unusedForDays": "30"})
    place.house.run_jobs()
    unused = {f"s{number:02}" for number in range(30) if number % 3}
    assert set(place.verdicts(ComplianceTypes=["NON_COMPLIANT"])) == unused
    assert set(place.verdicts(ComplianceTypes=["COMPLIANT"])) == {f"s{n:02}" for n in range(0, 30, 3)}
    assert len(place.listener.changes()) == 30

    secrets.get_secret_value(SecretId="s01")
    assert place.verdicts()["s01"] == "NON_COMPLIANT"
    place.evaluate()
    assert place.verdicts()["s01"] == "COMPLIANT"
    assert place.listener.changes() == [("s01", "NON_COMPLIANT", "COMPLIANT")]
    place.evaluate()
    assert place.listener.changes() == []


@pytest.mark.parametrize(
    ("use", "counts"),
    [
        (lambda secrets: secrets.get_secret_value(SecretId="a"), True),
        (lambda secrets: secrets.batch_get_secret_value(SecretIdList=["a"]), True),
        (lambda secrets: secrets.describe_secret(SecretId="a"), False),
        (lambda secrets: secrets.list_secrets(), False),
        (lambda secrets: secrets.list_secret_version_ids(SecretId="a"), False),
        (lambda secrets: secrets.get_resource_policy(SecretId="a"), False),
        (lambda secrets: secrets.put_secret_value(SecretId="a", SecretString="y"), False),
        (lambda secrets: secrets.update_secret(SecretId="a", Description="y"), False),
        (lambda secrets: secrets.tag_resource(SecretId="a", Tags=[{"Key": "k", "Value": "v"}]), False),
    ],
    ids=["Get", "BatchGet", "Describe", "List", "ListVersions", "GetPolicy", "Put", "Update", "Tag"],
)
def test_to_use_a_secret_is_to_read_its_value_and_nothing_else(place, put, use, counts):
    put("a")
    place.house.clock.turn(days=40)
    place.rule(UNUSED, parameters={"unusedForDays": "30"})
    use(place.secrets)
    place.house.run_jobs()
    assert place.verdicts() == {"a": "COMPLIANT" if counts else "NON_COMPLIANT"}


def test_a_rule_runs_by_itself_as_often_as_it_says(place, put):
    put("a")
    place.rule(UNUSED, parameters={"unusedForDays": "2"}, MaximumExecutionFrequency="Six_Hours")
    place.config.stop_configuration_recorder(ConfigurationRecorderName="default")  # it needs the recorder's role only
    with place.house.app.storage.writing() as tx:
        tx.run("DELETE FROM job WHERE kind = 'secretsmanager.count_secrets'")  # by the hour, and none of ours
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {"a": "COMPLIANT"}
    place.house.clock.turn(ms=DAY_MS)
    place.house.run_jobs()  # the recorder's daily look finds that it rests
    place.house.clock.turn(ms=DAY_MS - 1_001)
    assert place.house.run_jobs() == 1  # what was missed is one evaluation
    assert place.verdicts() == {"a": "COMPLIANT"}
    place.house.clock.turn(ms=6 * 3_600_000 - 1)
    assert place.house.run_jobs() == 0
    place.house.clock.turn(ms=1)
    assert place.house.run_jobs() == 1
    assert place.verdicts() == {"a": "NON_COMPLIANT"}


def test_a_rule_on_changes_looks_at_a_secret_soon_after_it_changed(place_on_each):
    place, secrets = place_on_each, place_on_each.secrets
    key = place.house.client("kms").create_key()["KeyMetadata"]["Arn"]
    place.rule(USING_CMK)
    place.house.run_jobs()
    secrets.create_secret(Name="plain", SecretString="x")
    secrets.create_secret(Name="own", SecretString="x", KmsKeyId=key.rpartition("/")[2])
    assert place.verdicts() == {}
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {"plain": "NON_COMPLIANT", "own": "COMPLIANT"}
    place.listener.changes()
    secrets.update_secret(SecretId="plain", KmsKeyId=key)
    secrets.delete_secret(SecretId="own", ForceDeleteWithoutRecovery=True)
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {"plain": "COMPLIANT"}
    assert place.listener.changes() == [("own", "COMPLIANT", "NOT_APPLICABLE"), ("plain", "NON_COMPLIANT", "COMPLIANT")]


def test_a_secret_that_waits_for_its_deletion_is_not_judged_until_it_is_restored(place, put):
    put("a")
    place.rule(USING_CMK)
    place.house.run_jobs()
    place.secrets.delete_secret(SecretId="a")
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {}
    place.secrets.restore_secret(SecretId="a")
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {"a": "NON_COMPLIANT"}


def test_a_key_is_known_by_each_of_its_names(place, put):
    kms = place.house.client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/own", TargetKeyId=key["KeyId"])
    put("by-id", KmsKeyId=key["KeyId"])
    put("by-alias", KmsKeyId="alias/own")
    put("by-default", KmsKeyId="alias/aws/secretsmanager")
    put("other", KmsKeyId=kms.create_key()["KeyMetadata"]["Arn"])
    place.rule(USING_CMK, parameters={"kmsKeyArns": key["Arn"]})
    place.house.run_jobs()
    assert place.verdicts() == {
        "by-id": "COMPLIANT",
        "by-alias": "COMPLIANT",
        "by-default": "NON_COMPLIANT",
        "other": "NON_COMPLIANT",
    }


def test_a_rule_on_changes_rests_with_the_recorder_and_catches_up(place, put):
    place.rule(USING_CMK)
    place.house.run_jobs()
    place.config.stop_configuration_recorder(ConfigurationRecorderName="default")
    put("a")
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {}
    place.config.start_configuration_recorder(ConfigurationRecorderName="default")
    place.house.run_jobs()
    assert place.verdicts() == {"a": "NON_COMPLIANT"}


def test_a_recorder_that_leaves_secrets_out_watches_none(place, put):
    group = {"resourceTypes": ["AWS::KMS::Key"]}
    place.config.put_configuration_recorder(
        ConfigurationRecorder={"name": "default", "roleARN": place.role, "recordingGroup": group}
    )
    place.rule(USING_CMK)
    put("a")
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {}


def test_many_changes_are_looked_at_together(place, monkeypatch):
    monkeypatch.setattr("geumgo.services.config.looking.MOST_ONE_BY_ONE", 5)
    place.rule(USING_CMK)
    place.house.run_jobs()
    for number in range(8):
        place.secrets.create_secret(Name=f"s{number}", SecretString="x")
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert len(place.verdicts()) == 8


@pytest.mark.parametrize(
    ("scope", "judged"),
    [
        ({"ComplianceResourceTypes": ["AWS::SecretsManager::Secret"]}, {"a", "b", "c"}),
        ({"ComplianceResourceTypes": ["AWS::KMS::Key"]}, set()),
        ({"TagKey": "team"}, {"a", "b"}),
        ({"TagKey": "team", "TagValue": "x"}, {"a"}),
    ],
)
def test_a_scope_says_which_secrets_are_meant(place, put, scope, judged):
    put("a", Tags=[{"Key": "team", "Value": "x"}])
    put("b", Tags=[{"Key": "team", "Value": "y"}])
    put("c")
    place.rule(USING_CMK, Scope=scope)
    place.house.run_jobs()
    assert set(place.verdicts()) == judged


def test_one_resource_can_be_meant(place, put):
    arn = put("a")
    put("b")
    kind = ["AWS::SecretsManager::Secret"]
    place.rule(USING_CMK, Scope={"ComplianceResourceTypes": kind, "ComplianceResourceId": arn})
    place.house.run_jobs()
    assert set(place.verdicts()) == {"a"}


def test_config_sees_what_its_role_may_list_and_says_so_when_it_may_not(place, put):
    put("a")
    house = place.house
    trust = {"Effect": "Allow", "Principal": {"Service": "config.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = house.client("iam").create_role(
        RoleName="weak", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    place.rule(UNUSED)
    house.run_jobs()
    place.config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})
    place.evaluate()
    status = place.config.describe_config_rule_evaluation_status()["ConfigRulesEvaluationStatus"][0]
    assert status["LastErrorCode"] == "AccessDeniedException"
    assert "secretsmanager:ListSecrets" in status["LastErrorMessage"]
    assert status["LastFailedInvocationTime"] > status["LastSuccessfulInvocationTime"]
    assert place.verdicts() == {"a": "COMPLIANT"}, "the verdicts stay as they were"
    place.config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": place.role})
    place.evaluate()
    status = place.config.describe_config_rule_evaluation_status()["ConfigRulesEvaluationStatus"][0]
    assert "LastErrorCode" not in status
    listed = [r for r in house.trail() if r.get("eventName") == "ListSecrets" and not r.get("errorCode")]
    assert listed[-1]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == place.role


def test_an_evaluation_is_asked_for_once_a_minute(place, put):
    put("a")
    place.rule(UNUSED)
    place.house.run_jobs()
    ask = place.config.start_config_rules_evaluation
    with pytest.raises(ClientError, match="NoSuchConfigRuleException"):
        ask(ConfigRuleNames=["rule", "other"])
    ask(ConfigRuleNames=["rule"])
    assert place.config.describe_config_rules()["ConfigRules"][0]["ConfigRuleState"] == "ACTIVE"
    with pytest.raises(ClientError, match="LimitExceededException"):
        ask(ConfigRuleNames=["rule"])
    place.house.clock.turn(ms=60_000)
    ask(ConfigRuleNames=["rule"])
    assert place.config.describe_config_rules()["ConfigRules"][0]["ConfigRuleState"] == "EVALUATING"
    place.house.run_jobs()
    assert place.config.describe_config_rules()["ConfigRules"][0]["ConfigRuleState"] == "ACTIVE"


def test_what_a_cut_evaluation_has_kept_is_published_once(place, monkeypatch):
    fill(place.house, 250)
    place.rule(UNUSED)
    settle, left = settling.settle, [2]

    def cut(*given):
        if not left[0]:
            raise OSError("the power went")
        left[0] -= 1
        settle(*given)

    monkeypatch.setattr("geumgo.services.config.evaluation.settle", cut)
    place.house.run_jobs()
    assert len(place.verdicts(Limit=100)) == 200
    monkeypatch.setattr("geumgo.services.config.evaluation.settle", settle)
    place.house.clock.turn(days=1)
    place.house.run_jobs()
    changes = place.listener.changes()
    assert len(changes) == len(set(changes)) == 250


def test_thousands_of_secrets_are_judged_in_little_time(place):
    """The figure for 25,000 is measured by `python -m tests.bench.bench_config`; this sees that it does not grow out of hand."""
    fill(place.house, 2_000)
    place.rule(UNUSED)
    started = time.process_time()
    place.house.run_jobs()
    assert time.process_time() - started < 2
    assert len(place.listener.heard) == 2_000
    started = time.process_time()
    place.house.clock.turn(days=100)
    place.house.run_jobs()
    assert time.process_time() - started < 2
    assert len(place.listener.heard) == 4_000


def test_a_secret_that_is_watched_drops_what_is_kept_of_it_and_no_more(place_on_each):
    """That it is to be looked at decides nothing for whoever reads."""
    place, storage = place_on_each, place_on_each.house.app.storage
    place.secrets.create_secret(Name="a", SecretString="0")
    place.secrets.put_secret_value(SecretId="a", SecretString="1")
    before = storage.mark()
    place.secrets.put_secret_value(SecretId="a", SecretString="2")
    assert storage.mark() != before
    assert len(set(storage.dropped(before))) == 1


def nothing_dropped(storage: Any, since: bytes) -> bool:
    dropped = storage.dropped(since)  # None: everything was
    return dropped is not None and not dropped


def test_what_rules_and_the_recorder_find_drops_nothing_that_is_kept(place_on_each):
    """What is derived rests on recorders, and on nothing else of this room."""
    place, storage = place_on_each, place_on_each.house.app.storage
    place.rule(USING_CMK)
    place.secrets.create_secret(Name="a", SecretString="0")
    place.secrets.create_secret(Name="b", SecretString="0")
    place.house.run_jobs()
    before = storage.mark()
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {"a": "NON_COMPLIANT", "b": "NON_COMPLIANT"}
    assert nothing_dropped(storage, before)
    place.secrets.delete_secret(SecretId="b", ForceDeleteWithoutRecovery=True)
    before = storage.mark()
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {"a": "NON_COMPLIANT"}
    assert nothing_dropped(storage, before)
