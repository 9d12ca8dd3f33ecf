"""Log files and digest files: complete, where AWS has them, and found out if one byte changes."""

import gzip
import io
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geumgo.services.cloudtrail import delivery
from tests.house import House
from tests.services.cloudtrail.validator import Verdict, validate

MINUTE = 60_000
HOUR = 3_600_000


@pytest.fixture
def trail(house: House) -> Any:
    return house.client("cloudtrail")


def begin(house: House, name: str = "main", **settings: Any) -> Any:
    client = house.client("cloudtrail")
    asked = {"Name": name, "S3BucketName": "audit-bucket", "EnableLogFileValidation": True, **settings}
    made = client.create_trail(**asked)
    client.start_logging(Name=name)
    return made


def bucket(house: House) -> Path:
    return house.settings.data / "deliveries" / "audit-bucket"


def turn(house: House, ms: int) -> None:
    house.index()
    house.clock.turn(ms=ms)
    house.run_jobs()


def checked(house: House, region: str = "us-east-1", prefix: str = "") -> Verdict:
    first = house.client("cloudtrail").list_public_keys(StartTime=0)["PublicKeyList"]
    keys = {key["Fingerprint"]: key["Value"] for key in first}
    return validate(bucket(house), house.account, region, keys, prefix)


def log_files(house: House) -> list[Path]:
    return sorted((bucket(house) / "AWSLogs" / house.account / "CloudTrail").rglob("*.json.gz"))


def delivered(house: House) -> Iterator[dict[str, Any]]:
    for path in log_files(house):
        yield from json.loads(gzip.decompress(path.read_bytes()))["Records"]


def test_everything_since_the_start_is_delivered_once_and_validates_on_each_engine(house_on_each: House) -> None:
    house = house_on_each
    sm = house.client("secretsmanager")
    sm.create_secret(Name="before", SecretString="hidden-value-3")
    house.clock.turn(ms=2_000)
    begin(house)
    for number in range(6):
        sm.create_secret(Name=f"s{number}", SecretString="hidden-value-3")
        turn(house, 6 * MINUTE)
    turn(house, 2 * HOUR)
    turn(house, 2 * HOUR)
    verdict = checked(house)
    assert verdict.problems == []
    assert verdict.digests >= 4
    names = [
        record["requestParameters"]["name"] for record in delivered(house) if record["eventName"] == "CreateSecret"
    ]
    assert names == [f"s{number}" for number in range(6)]
    ids = [record["eventID"] for record in verdict.records]
    assert len(ids) == len(set(ids))
    kept = {record["eventID"]: record for record in house.trail()}
    assert all(kept[record["eventID"]] == record for record in verdict.records)
    assert b"hidden-value-3" not in b"".join(gzip.decompress(path.read_bytes()) for path in log_files(house))
    status = house.client("cloudtrail").get_trail_status(Name="main")
    assert status["IsLogging"] is True
    assert "LatestDeliveryError" not in status
    assert status["LatestDeliveryTime"] > status["StartLoggingTime"]
    assert status["LatestDigestDeliveryTime"] > status["LatestDeliveryTime"]


def test_the_names_are_those_of_aws(house: House) -> None:
    begin(house, S3KeyPrefix="team/a")
    turn(house, 6 * MINUTE)
    turn(house, HOUR)
    account = house.account
    names = sorted(str(path.relative_to(bucket(house))) for path in bucket(house).rglob("*.gz"))
    day = r"us-east-1/\d{4}/\d\d/\d\d"
    for name in names:
        assert any(
            re.fullmatch(pattern, name)
            for pattern in (
                rf"team/a/AWSLogs/{account}/CloudTrail/{day}/{account}_CloudTrail_us-east-1_\d{{8}}T\d{{4}}Z_[A-Za-z0-9]{{16}}\.json\.gz",
                rf"team/a/AWSLogs/{account}/CloudTrail-Digest/{day}/{account}_CloudTrail-Digest_us-east-1_main_us-east-1_\d{{8}}T\d{{6}}Z\.json\.gz",
            )
        ), name
    assert {"CloudTrail", "CloudTrail-Digest"} <= {name.split("/")[4] for name in names}
    assert checked(house, prefix="team/a").problems == []


def test_an_hour_without_events_has_a_digest_without_files(house: House) -> None:
    begin(house)
    turn(house, 6 * MINUTE)
    for _ in range(4):
        house.clock.turn(ms=HOUR)  # nothing is indexed: nothing happened
        house.run_jobs()
    verdict = checked(house)
    assert verdict.problems == []
    assert verdict.digests >= 4
    newest = max((bucket(house) / "AWSLogs" / house.account / "CloudTrail-Digest").rglob("*.json.gz"))
    digest = json.loads(gzip.decompress(newest.read_bytes()))
    assert (digest["logFiles"], digest["newestEventTime"]) == ([], None)


def test_any_changed_or_missing_file_is_found_and_named(house: House) -> None:
    begin(house)
    for number in range(3):
        house.client("secretsmanager").create_secret(Name=f"s{number}", SecretString="x")
        turn(house, HOUR)
    turn(house, HOUR)
    assert checked(house).problems == []
    digests = sorted((bucket(house) / "AWSLogs" / house.account / "CloudTrail-Digest").rglob("*.json.gz"))
    for path in [*log_files(house), *digests]:
        whole = path.read_bytes()
        content = bytearray(gzip.decompress(whole))
        content[len(content) // 2] ^= 1
        for broken in (gzip.compress(bytes(content)), whole[:-9]):
            path.write_bytes(broken)
            problems = checked(house).problems
            assert any(path.name in problem for problem in problems), path
        path.write_bytes(whole)
    assert checked(house).problems == []


def test_a_death_between_writing_and_settling_leaves_no_second_file(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(house)
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    write = delivery._write_whole
    deaths: list[Any] = []

    def write_and_die(*args: Any) -> None:
        write(*args)
        if len(deaths) < 4:
            deaths.append(args)
            raise KeyboardInterrupt

    monkeypatch.setattr(delivery, "_write_whole", write_and_die)
    house.index()
    for ms in (6 * MINUTE, HOUR, HOUR):
        house.clock.turn(ms=ms)
        while True:
            try:
                house.run_jobs()
                break
            except KeyboardInterrupt:
                house.app.worker._leftovers = True  # as a process that is started again
                house.clock.turn(ms=5 * MINUTE)
    assert len(deaths) == 4
    assert len(log_files(house)) == 1
    verdict = checked(house)
    assert verdict.problems == []
    assert verdict.files == 1


def test_what_keeps_a_file_from_the_disk_is_in_the_status_and_passes(house: House, trail: Any) -> None:
    begin(house)
    directory = house.settings.data / "deliveries"
    directory.write_text("in the way")
    turn(house, 6 * MINUTE)
    status = trail.get_trail_status(Name="main")
    assert "cannot be written" in status["LatestDeliveryError"]
    assert "LatestDeliveryTime" not in status
    assert str(house.settings.data) not in status["LatestDeliveryError"]
    directory.unlink()
    turn(house, 2 * MINUTE)
    assert "LatestDeliveryError" not in trail.get_trail_status(Name="main")
    assert log_files(house)


def test_a_trail_that_stops_delivers_what_was_before_and_a_last_digest(house: House, trail: Any) -> None:
    sm = house.client("secretsmanager")
    begin(house)
    sm.create_secret(Name="before", SecretString="x")
    house.clock.turn(ms=1_000)
    trail.stop_logging(Name="main")
    house.clock.turn(ms=1_000)
    sm.create_secret(Name="behind", SecretString="x")
    turn(house, 6 * MINUTE)
    turn(house, 2 * MINUTE)
    verdict = checked(house)
    assert verdict.problems == []
    made = [record["requestParameters"]["name"] for record in verdict.records if record["eventName"] == "CreateSecret"]
    assert made == ["before"]
    digests = verdict.digests
    turn(house, 3 * HOUR)
    assert checked(house).digests == digests
    trail.start_logging(Name="main")
    sm.create_secret(Name="again", SecretString="x")
    turn(house, HOUR)
    turn(house, HOUR)
    verdict = checked(house)
    assert verdict.problems == []
    assert verdict.digests > digests
    assert "again" in json.dumps(verdict.records)


def test_selectors_decide_what_is_delivered(house: House, trail: Any) -> None:
    begin(house)
    trail.put_event_selectors(
        TrailName="main",
        EventSelectors=[{"ReadWriteType": "WriteOnly", "ExcludeManagementEventSources": ["kms.amazonaws.com"]}],
    )
    house.clock.turn(ms=1_000)
    sm = house.client("secretsmanager")
    house.index()
    sm.create_secret(Name="s", SecretString="x")
    sm.get_secret_value(SecretId="s")
    turn(house, 6 * MINUTE)
    names = {record["eventName"] for record in delivered(house)}
    assert "CreateSecret" in names
    assert not names & {"GetSecretValue", "GenerateDataKey", "Decrypt"}


def test_a_trail_of_all_regions_delivers_each_in_its_own_directory(tmp_path: Path, monkeypatch: Any) -> None:
    from tests.clock import TurnedClock
    from tests.house import turn_botocore

    clock = TurnedClock()
    turn_botocore(monkeypatch, clock)
    house = House.build(tmp_path, clock, regions=("us-east-1", "eu-west-1"))
    begin(house, IsMultiRegionTrail=True)
    for region in ("us-east-1", "eu-west-1"):
        house.client("secretsmanager", region=region).create_secret(Name=region, SecretString="x")
    turn(house, 6 * MINUTE)
    turn(house, HOUR)
    for region in ("us-east-1", "eu-west-1"):
        verdict = checked(house, region)
        assert verdict.problems == []
        assert {record["awsRegion"] for record in verdict.records} == {region}
    shadow = house.client("cloudtrail", region="eu-west-1")
    assert shadow.get_trail(Name="main")["Trail"]["HomeRegion"] == "us-east-1"
    assert [each["Name"] for each in shadow.describe_trails()["trailList"]] == ["main"]
    assert shadow.describe_trails(includeShadowTrails=False)["trailList"] == []
    house.close()


def test_a_deleted_trail_delivers_nothing_more_and_leaves_its_files(house: House, trail: Any) -> None:
    begin(house)
    turn(house, 6 * MINUTE)
    files = log_files(house)
    assert files
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    house.index()
    trail.delete_trail(Name="main")
    turn(house, 2 * HOUR)
    assert log_files(house) == files
    with house.app.storage.reading() as tx:
        for table in ("trail", "status", "waiting", "file", "digest"):
            assert tx.one(f"SELECT COUNT(*) FROM cloudtrail_{table}") == (0,)


def test_a_forged_public_key_is_never_shown(house: House, trail: Any) -> None:
    from botocore.exceptions import ClientError

    begin(house)
    turn(house, 2 * HOUR)
    assert len(trail.list_public_keys()["PublicKeyList"]) == 1
    with house.app.storage.writing() as tx:
        ((key,),) = tx.all("SELECT public_key FROM cloudtrail_signing_key")
        tx.run("UPDATE cloudtrail_signing_key SET public_key = :key", key=key[:-1] + bytes([key[-1] ^ 1]))
    with pytest.raises(ClientError) as caught:
        trail.list_public_keys()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


class Bucket:
    """The S3 client that the AWS CLI's validator reads with, on a delivered directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get_client(self, name: str) -> "Bucket":
        assert name == self.directory.name
        return self

    def get_paginator(self, name: str) -> "Bucket":
        assert name == "list_objects"
        return self

    def paginate(self, *, Bucket: str, Marker: str, Prefix: str) -> "Listing":  # noqa: N803
        assert Bucket == self.directory.name
        keys = sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file())
        return Listing([key for key in keys if key > Marker and key.startswith(Prefix)])

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == self.directory.name
        path = self.directory / Key
        metadata = json.loads(path.with_name(path.name + ".metadata.json").read_text())
        shown = {name.removeprefix("x-amz-meta-"): value for name, value in metadata.items()}
        return {"Body": io.BytesIO(path.read_bytes()), "Metadata": shown}


class AsInTheCli:
    """A client of CloudTrail as the AWS CLI has it: blobs stay as they came, in base64."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def describe_trails(self) -> Any:
        return self.client.describe_trails()

    def list_public_keys(self, **asked: Any) -> Any:
        answer = self.client.list_public_keys(**asked)
        return {"PublicKeyList": [{**key, "Value": b64encode(key["Value"])} for key in answer["PublicKeyList"]]}


class Listing:
    def __init__(self, keys: list[str]) -> None:
        self.keys = keys

    def search(self, expression: str) -> list[str]:
        assert expression == "Contents[*].Key"
        return self.keys


def test_the_validator_of_the_aws_cli_is_content(house: House) -> None:
    from datetime import UTC, datetime, timedelta

    from awscli.customizations.cloudtrail.validation import create_digest_traverser

    def look() -> tuple[int, list[str]]:
        problems: list[str] = []

        def note(**said: Any) -> None:
            problems.append(str(said.get("message") or said))

        traverser = create_digest_traverser(
            cloudtrail_client=AsInTheCli(house.client("cloudtrail")),
            organization_client=None,
            s3_client_provider=Bucket(bucket(house)),
            trail_arn=made["TrailARN"],
            on_invalid=note,
            on_gap=note,
            on_missing=note,
        )
        now = datetime.fromtimestamp(house.clock.now_ms() / 1000, UTC)
        return len(list(traverser.traverse_digests(now - timedelta(days=1), now))), problems

    made = begin(house, S3KeyPrefix="team/a")
    for number in range(4):
        house.client("secretsmanager").create_secret(Name=f"s{number}", SecretString="x")
        turn(house, HOUR + 6 * MINUTE)
    digests, problems = look()
    assert problems == []
    assert digests >= 4
    newest = max(bucket(house).rglob("*CloudTrail-Digest_*.json.gz"))
    content = bytearray(gzip.decompress(newest.read_bytes()))
    content[-20] ^= 1
    newest.write_bytes(gzip.compress(bytes(content)))
    assert any(newest.name in problem and "signature verification failed" in problem for problem in look()[1])
