"""What secrets and parameters are like, were like, and how they are found."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.clock import DAY_MS
from tests.services.config.test_rules import refused

KIND = "AWS::SecretsManager::Secret"


def later(place, ms: int = 1_000) -> None:
    place.house.clock.turn(ms=ms)
    place.house.run_jobs()


def selected(place, expression: str, **given) -> list[Any]:
    return [json.loads(row) for row in place.config.select_resource_config(Expression=expression, **given)["Results"]]


def test_each_change_of_a_secret_is_an_item(place_on_each):
    place, secrets, config = place_on_each, place_on_each.secrets, place_on_each.config
    arn = secrets.create_secret(Name="a", SecretString="x", Description="first")["ARN"]
    later(place)
    secrets.update_secret(SecretId="a", Description="second")
    secrets.tag_resource(SecretId="a", Tags=[{"Key": "team", "Value": "x"}])
    later(place)
    secrets.get_secret_value(SecretId="a")
    later(place, DAY_MS)
    secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    later(place)
    items = config.get_resource_config_history(resourceType=KIND, resourceId=arn)["configurationItems"]
    assert [item["configurationItemStatus"] for item in items] == ["ResourceDeleted", "OK", "ResourceDiscovered"]
    assert "configuration" not in items[0]
    assert [json.loads(item["configuration"])["Description"] for item in items[1:]] == ["second", "first"]
    assert (items[1]["tags"], items[1]["resourceName"], items[1]["arn"]) == ({"team": "x"}, "a", arn)
    forward = config.get_paginator("get_resource_config_history").paginate(
        resourceType=KIND, resourceId=arn, chronologicalOrder="Forward", PaginationConfig={"PageSize": 1}
    )
    assert [item for page in forward for item in page["configurationItems"]] == items[::-1]
    at = items[1]["configurationItemCaptureTime"]
    only = config.get_resource_config_history(resourceType=KIND, resourceId=arn, earlierTime=at, laterTime=at)
    assert only["configurationItems"] == [items[1]]


def test_what_nobody_has_seen_has_no_history(place):
    config = place.config
    refused("ResourceNotDiscoveredException", config.get_resource_config_history, resourceType=KIND, resourceId="x")
    times = {"earlierTime": datetime(2027, 1, 1, tzinfo=UTC), "laterTime": datetime(2026, 1, 1, tzinfo=UTC)}
    refused("InvalidTimeRangeException", config.get_resource_config_history, resourceType=KIND, resourceId="x", **times)
    config.delete_configuration_recorder(ConfigurationRecorderName="default")
    refused("NoAvailableConfigurationRecorderException", config.get_resource_config_history, resourceType=KIND, resourceId="x")  # fmt: skip


def test_secrets_and_parameters_are_queried(place_on_each):
    place = place_on_each
    key = place.house.client("kms").create_key()["KeyMetadata"]["Arn"]
    for name, given in (("a", {"KmsKeyId": key}), ("b", {}), ("c", {"Tags": [{"Key": "owner", "Value": "ann"}]})):
        place.secrets.create_secret(Name=name, SecretString="hidden", **given)
    ssm = place.house.client("ssm")
    ssm.put_parameter(Name="/app/one", Value="hidden", Type="String")
    ssm.put_parameter(Name="/app/two", Value="hidden", Type="SecureString")
    later(place)
    assert selected(place, f"SELECT resourceName, configuration.KmsKeyId WHERE configuration.KmsKeyId = '{key}'") == [
        {"resourceName": "a", "configuration": {"KmsKeyId": key}}
    ]
    assert selected(place, f"SELECT resourceName WHERE resourceType = '{KIND}' AND tags.tag = 'owner=ann'") == [{"resourceName": "c"}]  # fmt: skip
    found = selected(place, "SELECT resourceId, configuration.Type WHERE resourceType = 'AWS::SSM::Parameter'")
    assert found == [
        {"resourceId": "/app/one", "configuration": {"Type": "String"}},
        {"resourceId": "/app/two", "configuration": {"Type": "SecureString"}},
    ]
    groups = selected(place, "SELECT resourceType, COUNT(*) GROUP BY resourceType ORDER BY resourceType DESC")
    assert [group["COUNT(*)"] for group in groups] == [3, 2]
    assert "hidden" not in json.dumps(selected(place, "SELECT *"))

    expression = "SELECT resourceName ORDER BY resourceName"
    first = place.config.select_resource_config(Expression=expression, Limit=2)
    assert first["QueryInfo"] == {"SelectFields": [{"Name": "resourceName"}]}
    pages = place.config.get_paginator("select_resource_config").paginate(
        Expression=expression, PaginationConfig={"PageSize": 2}
    )
    names = [json.loads(row)["resourceName"] for page in pages for row in page["Results"]]
    assert names == ["/app/one", "/app/two", "a", "b", "c"]

    ssm.delete_parameter(Name="/app/one")
    place.secrets.delete_secret(SecretId="b")
    later(place)
    assert [row["resourceName"] for row in selected(place, expression)] == ["/app/two", "a", "c"]


def test_what_is_no_query_is_refused(place):
    refused(
        "InvalidExpressionException", place.config.select_resource_config, Expression="SELECT resourceId FROM secrets"
    )


def test_what_is_there_is_listed_and_counted(place):
    for number in range(5):
        place.secrets.create_secret(Name=f"s{number}", SecretString="x")
    later(place)
    place.secrets.delete_secret(SecretId="s0", ForceDeleteWithoutRecovery=True)
    later(place)
    config = place.config

    def listed(**given) -> list[str]:
        pages = config.get_paginator("list_discovered_resources").paginate(resourceType=KIND, PaginationConfig={"PageSize": 2}, **given)  # fmt: skip
        return [each["resourceName"] for page in pages for each in page["resourceIdentifiers"]]

    assert listed() == ["s1", "s2", "s3", "s4"]
    assert listed(includeDeletedResources=True) == ["s0", "s1", "s2", "s3", "s4"]
    assert listed(resourceName="s2") == ["s2"]
    counts = config.get_discovered_resource_counts()
    assert counts["totalDiscoveredResources"] == 4
    assert counts["resourceCounts"] == [{"resourceType": KIND, "count": 4}]
    assert config.get_discovered_resource_counts(resourceTypes=["AWS::KMS::Key"])["resourceCounts"] == []


def test_a_recorder_that_starts_late_finds_what_is_there_and_what_has_gone(place):
    for name in ("a", "b"):
        place.secrets.create_secret(Name=name, SecretString="x")
    later(place)
    place.config.stop_configuration_recorder(ConfigurationRecorderName="default")
    place.secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    place.secrets.create_secret(Name="c", SecretString="x")
    later(place)
    query = "SELECT resourceName ORDER BY resourceName"
    assert [row["resourceName"] for row in selected(place, query)] == ["a", "b"]
    place.config.start_configuration_recorder(ConfigurationRecorderName="default")
    later(place)
    assert [row["resourceName"] for row in selected(place, query)] == ["b", "c"]
    (status,) = place.config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert status["lastStatus"] == "Success"
