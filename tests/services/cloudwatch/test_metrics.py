"""ResourceCount: counted by the hour, listed and read as a client of CloudWatch reads it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House

HOUR_MS = 3_600_000
DIMENSIONS = [
    {"Name": "Service", "Value": "Secrets Manager"},
    {"Name": "Type", "Value": "Resource"},
    {"Name": "Resource", "Value": "SecretCount"},
    {"Name": "Class", "Value": "None"},
]
METRIC = {"Namespace": "AWS/SecretsManager", "MetricName": "ResourceCount", "Dimensions": DIMENSIONS}


def now(house: House) -> datetime:
    return datetime.fromtimestamp(house.clock.now_ms() / 1_000, UTC)


def hours(house: House, count: int) -> None:
    for _ in range(count):
        house.clock.turn(ms=HOUR_MS - house.clock.now_ms() % HOUR_MS)
        house.run_jobs()


def query(**more: Any) -> dict[str, Any]:
    return {"Id": "q", "MetricStat": {"Metric": METRIC, "Period": 3_600, "Stat": "Average", **more}}


def read(house: House, *queries: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    span = {"StartTime": now(house) - timedelta(days=2), "EndTime": now(house) + timedelta(seconds=1)}
    answer = house.client("cloudwatch").get_metric_data(
        MetricDataQueries=list(queries) or [query()], **{**span, **more}
    )
    found: list[dict[str, Any]] = answer["MetricDataResults"]
    return found


def test_secrets_are_counted_at_each_full_hour_those_that_wait_for_deletion_too(house_on_each: House) -> None:
    house = house_on_each
    sm, cloudwatch = house.client("secretsmanager"), house.client("cloudwatch")
    assert cloudwatch.list_metrics()["Metrics"] == []
    for number in range(3):
        sm.create_secret(Name=f"s{number}", SecretString="x")
    hours(house, 1)
    sm.delete_secret(SecretId="s0")
    hours(house, 1)
    sm.delete_secret(SecretId="s1", ForceDeleteWithoutRecovery=True)
    hours(house, 1)
    (listed,) = cloudwatch.list_metrics(Namespace="AWS/SecretsManager")["Metrics"]
    assert listed["MetricName"] == "ResourceCount"
    assert sorted(each["Name"] for each in listed["Dimensions"]) == ["Class", "Resource", "Service", "Type"]
    (found,) = read(house)
    assert found["Values"] == [2.0, 3.0, 3.0]
    assert found["Timestamps"][0] == now(house)
    assert (found["Label"], found["StatusCode"]) == ("ResourceCount", "Complete")


def test_where_there_is_no_secret_any_more_zero_is_the_last_count(house: House) -> None:
    sm = house.client("secretsmanager")
    sm.create_secret(Name="only", SecretString="x")
    hours(house, 1)
    sm.delete_secret(SecretId="only", ForceDeleteWithoutRecovery=True)
    hours(house, 3)
    assert read(house)[0]["Values"] == [0.0, 1.0]
    sm.create_secret(Name="again", SecretString="x")
    hours(house, 1)
    assert read(house)[0]["Values"] == [1.0, 0.0, 1.0]


def test_statistics_are_of_the_datapoints_of_a_period(house: House) -> None:
    sm = house.client("secretsmanager")
    house.clock.turn(ms=24 * HOUR_MS - house.clock.now_ms() % (24 * HOUR_MS))
    for number in range(4):
        sm.create_secret(Name=f"s{number}", SecretString="x")
        hours(house, 1)
    day = 86_400
    for stat, value in {"SampleCount": 4.0, "Average": 2.5, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0}.items():
        (found,) = read(house, query(Period=day, Stat=stat))
        assert found["Values"] == [value]
    span = {"StartTime": now(house) - timedelta(days=1), "EndTime": now(house) + timedelta(seconds=1)}
    asked = {
        "Period": day,
        "Statistics": ["Maximum", "Sum"],
        "Namespace": METRIC["Namespace"],
        "Dimensions": DIMENSIONS,
    }
    (point,) = house.client("cloudwatch").get_metric_statistics(MetricName="ResourceCount", **asked, **span)[
        "Datapoints"
    ]
    assert (point["Maximum"], point["Sum"], point["Unit"]) == (4.0, 10.0, "Count")
    assert "Average" not in point


def test_many_datapoints_come_in_pages(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    hours(house, 5)
    queries = [{**query(), "Id": "a"}, {**query(), "Id": "b"}]
    span = {"StartTime": now(house) - timedelta(days=1), "EndTime": now(house) + timedelta(seconds=1)}
    asked = {"MetricDataQueries": queries, **span, "MaxDatapoints": 3, "ScanBy": "TimestampAscending"}
    pages = list(house.client("cloudwatch").get_paginator("get_metric_data").paginate(**asked))
    got: dict[str, list[datetime]] = {"a": [], "b": []}
    for page in pages:
        assert sum(len(each["Values"]) for each in page["MetricDataResults"]) <= 3
        for each in page["MetricDataResults"]:
            got[each["Id"]] += each["Timestamps"]
    assert len(pages) == 4
    assert got["a"] == got["b"] == sorted(got["a"])
    assert len(got["a"]) == 5
    with pytest.raises(ClientError, match="InvalidNextToken"):
        house.client("cloudwatch").get_metric_data(**asked, NextToken="made up")


def test_another_metric_another_unit_and_missing_dimensions_have_no_data(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    hours(house, 1)
    for metric in (
        {**METRIC, "MetricName": "Other"},
        {**METRIC, "Dimensions": DIMENSIONS[:2]},
        {**METRIC, "Namespace": "AWS/Other"},
    ):
        assert read(house, query(Metric=metric))[0]["Values"] == []
    assert read(house, query(Unit="Bytes"))[0]["Values"] == []


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 1),
        ({"MetricName": "ResourceCount", "RecentlyActive": "PT3H"}, 1),
        ({"Dimensions": [{"Name": "Class"}]}, 1),
        ({"Dimensions": [{"Name": "Class", "Value": "Other"}]}, 0),
        ({"Namespace": "AWS/KMS"}, 0),
    ],
)
def test_a_listing_is_filtered(house: House, filters: dict[str, Any], count: int) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    hours(house, 1)
    assert len(house.client("cloudwatch").list_metrics(**filters)["Metrics"]) == count


def test_what_was_measured_long_ago_is_not_listed_and_in_the_end_gone(house: House) -> None:
    sm = house.client("secretsmanager")
    sm.create_secret(Name="s", SecretString="x")
    hours(house, 1)
    sm.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    hours(house, 1)
    house.clock.turn(days=15)
    assert house.client("cloudwatch").list_metrics()["Metrics"] == []
    house.clock.turn(days=455)
    sm.create_secret(Name="t", SecretString="x")
    hours(house, 1)
    assert read(house, StartTime=now(house) - timedelta(days=900))[0]["Values"] == [1.0]


@pytest.mark.parametrize(
    ("queries", "more", "code"),
    [
        ([], {}, "ValidationError"),
        ([query(), query()], {}, "ValidationError"),
        ([{"Id": "q", "Expression": "SUM(METRICS())"}], {}, "ValidationError"),
        ([{"Id": "q"}], {}, "ValidationError"),
        ([query(Stat="p99")], {}, "ValidationError"),
        ([query(Period=90)], {}, "ValidationError"),
        ([query(Metric={"MetricName": "ResourceCount"})], {}, "ValidationError"),
        ([{**query(), "AccountId": "111122223333"}], {}, "ValidationError"),
        ([query()], {"MaxDatapoints": 0}, "ValidationError"),
        ([query()], {"EndTime": datetime(2020, 1, 1, tzinfo=UTC)}, "ValidationError"),
    ],
)
def test_queries_that_make_no_sense_are_refused(
    house: House, queries: list[dict[str, Any]], more: dict[str, Any], code: str
) -> None:
    span = {"StartTime": now(house) - timedelta(days=1), "EndTime": now(house)}
    with pytest.raises(ClientError, match=code):
        house.client("cloudwatch").get_metric_data(MetricDataQueries=queries, **{**span, **more})


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Statistics": None}, "MissingParameter"),
        ({"ExtendedStatistics": ["p99"]}, "InvalidParameterValue"),
        ({"Period": 61}, "InvalidParameterValue"),
        ({"EndTime": datetime(2020, 1, 1, tzinfo=UTC)}, "InvalidParameterValue"),
        ({"Period": 60}, "InvalidParameterCombination"),
    ],
)
def test_statistics_that_make_no_sense_are_refused(house: House, more: dict[str, Any], code: str) -> None:
    asked = {
        "Namespace": "AWS/SecretsManager",
        "MetricName": "ResourceCount",
        "Statistics": ["Sum"],
        "Period": 3_600,
        "StartTime": now(house) - timedelta(days=3),
        "EndTime": now(house),
    }
    given = {name: value for name, value in {**asked, **more}.items() if value is not None}
    with pytest.raises(ClientError, match=code):
        house.client("cloudwatch").get_metric_statistics(**given)


def test_another_account_or_region_has_its_own_count_and_nobody_reads_without_permission(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    hours(house, 1)
    nobody = house.client("cloudwatch", house.user("nobody"))
    with pytest.raises(ClientError, match="cloudwatch:ListMetrics"):
        nobody.list_metrics()
