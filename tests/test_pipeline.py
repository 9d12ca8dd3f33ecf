"""The life of a request, where things go wrong in the middle of it: what the caller is told, and what the trail says of it."""

import errno
import json
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse, HeadersDict
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.retries.standard import RetryContext, ThrottledRetryableChecker

from geumgo.audit import TrailBroken
from geumgo.audit.disk import Disk
from geumgo.context import Later, Params
from geumgo.message import Request, Surplus
from geumgo.pipeline import Pipeline, fetching
from geumgo.protocol import Call
from geumgo.storage import Broken, Conflict, Full, Storage, StorageError, Tx, Unknown
from geumgo.turn import Turn
from tests.clock import TurnedClock
from tests.house import House, turn_botocore

SMALL = 1 << 20  # bytes of a segment of the trail


class Faulty:
    """A storage whose next writing transactions end as they are told to, in order; with `commits`, after they have committed."""

    def __init__(self, storage: Storage, ends: list[Callable[[], StorageError]], *, commits: bool) -> None:
        self._storage, self._ends, self._commits = storage, ends, commits

    def reading(self) -> AbstractContextManager[Tx]:
        return self._storage.reading()

    @contextmanager
    def writing(self, **how: Any) -> Iterator[Tx]:
        end = self._ends.pop(0) if self._ends else None
        with self._storage.writing(**how) as tx:
            yield tx
            if end is not None and not self._commits:
                raise end()
        if end is not None:
            raise end()

    def mark(self) -> bytes:
        return self._storage.mark()

    def dropped(self, before: bytes) -> Collection[str] | None:
        return self._storage.dropped(before)

    def close(self) -> None:
        self._storage.close()


class FullDisk(Disk):
    """A disk without space for another file."""

    def create(self, path: Path, size_bytes: int, first: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def reserve(self, path: Path, size_bytes: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class Counting(Faulty):
    """A storage that counts its writing transactions."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, [], commits=False)
        self.written = 0

    @contextmanager
    def writing(self, **how: Any) -> Iterator[Tx]:
        self.written += 1
        with super().writing(**how) as tx:
            yield tx


@pytest.fixture
def small_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: TurnedClock) -> Iterator[House]:
    """A house whose trail has small segments."""
    turn_botocore(monkeypatch, clock)
    made = House.build(tmp_path, clock, segment_bytes=SMALL)
    yield made
    made.close()


def fail_next_writes(house: House, *ends: Callable[[], StorageError], commits: bool = False) -> None:
    parts = house.app.pipeline._parts
    house.app.pipeline = Pipeline(replace(parts, storage=Faulty(house.app.storage, list(ends), commits=commits)))


def signed(house: House, service: str, target: str, body: dict[str, Any]) -> Request:
    """A request of the administrator, as the edge would hand it over."""
    sent = json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target, "Host": "geumgo.test"}
    request = AWSRequest("POST", "http://geumgo.test/", data=sent, headers=headers)
    SigV4Auth(Credentials(house.admin.identity, house.admin.secret), service, "us-east-1").add_auth(request)
    pairs = tuple((name.lower().encode(), str(value).encode()) for name, value in request.headers.items())
    return Request("POST", b"/", pairs, sent, "198.51.100.7", False, str(uuid.uuid4()), house.clock.now_ms())


def named(house: House, *names: str) -> Counter[tuple[str, str]]:
    """How often the trail has each (event name, error code) of the events with these names."""
    found = [record for record in house.trail() if record["eventName"] in names]
    return Counter((record["eventName"], record.get("errorCode", "")) for record in found)


# -- writes that others overtake, and writes that fail --------------------------------------------------------------------


def test_a_write_that_was_tried_three_times_leaves_one_record_of_itself_and_of_each_call_it_made(house: House) -> None:
    fail_next_writes(house, Conflict, Conflict)
    house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    assert named(house, "CreateSecret", "GenerateDataKey") == {("CreateSecret", ""): 1, ("GenerateDataKey", ""): 1}


@pytest.mark.parametrize("end", [Full, StorageError])
def test_a_write_that_could_not_be_kept_is_refused_and_noted_once(house: House, end: type[StorageError]) -> None:
    fail_next_writes(house, end)
    with pytest.raises(ClientError) as refused:
        house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert named(house, "CreateSecret", "GenerateDataKey") == {
        ("CreateSecret", "ServiceUnavailable"): 1,
        ("GenerateDataKey", ""): 1,
    }
    house.app.tick()  # the space that was held back for this is held back again
    assert not house.client("secretsmanager").list_secrets()["SecretList"]


def test_a_write_that_is_overtaken_again_and_again_is_told_to_slow_down(house: House) -> None:
    fail_next_writes(house, *[Conflict] * 12)
    with pytest.raises(ClientError) as refused:
        house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    assert refused.value.response["Error"]["Code"] == "ThrottlingException"
    assert named(house, "CreateSecret", "GenerateDataKey") == {
        ("CreateSecret", "ThrottlingException"): 1,
        ("GenerateDataKey", ""): 1,
    }


@pytest.mark.parametrize("commits", [True, False])
def test_the_outcome_of_a_commit_that_nobody_saw_is_asked_of_the_database(house: House, commits: bool) -> None:
    fail_next_writes(house, Unknown, commits=commits)
    with pytest.raises(ClientError) as refused:
        house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert len(house.app.trail.unresolved) == 1
    house.app.tick()
    assert not house.app.trail.unresolved
    assert named(house, "CreateSecret")["CreateSecret", ""] == int(commits)
    assert len(house.client("secretsmanager").list_secrets()["SecretList"]) == int(commits)


def test_the_trail_is_signed_while_the_database_is_away(house: House) -> None:
    fail_next_writes(house, Unknown)
    with pytest.raises(ClientError):
        house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    [before] = house.app.trail.heads()
    house.clock.turn(ms=2_000)
    storage = house.app.storage
    house.app.storage = Faulty(storage, [StorageError], commits=False)
    house.app.tick()
    [after] = house.app.trail.heads()
    assert after.seq > before.seq
    assert house.app.trail.unresolved
    house.app.storage = storage
    house.app.tick()
    assert not house.app.trail.unresolved


def test_an_answer_that_its_model_does_not_know_undoes_the_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    room = house.app.rooms["secretsmanager"]
    create = room.operations["CreateSecret"]
    wrong = replace(create, handler=lambda ctx, params: {**create.handler(ctx, params), "Invented": 1})
    monkeypatch.setitem(room.operations, "CreateSecret", wrong)
    with pytest.raises(ClientError) as refused:
        house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    assert refused.value.response["Error"]["Code"] == "InternalServiceError"
    assert named(house, "CreateSecret") == {("CreateSecret", "InternalServiceError"): 1}
    assert not house.client("secretsmanager").list_secrets()["SecretList"]


def test_a_mark_that_cannot_be_left_takes_nothing_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise AssertionError("a fault of ours")

    monkeypatch.setattr(type(house.app.pipeline._parts.keyring), "mark_used", broken)
    house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    assert house.client("secretsmanager").get_secret_value(SecretId="db")["SecretString"] == "hunter2"
    assert named(house, "CreateSecret", "GetSecretValue") == {("CreateSecret", ""): 1, ("GetSecretValue", ""): 1}


# -- a trail without space ------------------------------------------------------------------------------------------------


def test_the_dates_of_use_of_a_batch_are_written_in_one_transaction_before_its_answers_leave(house: House) -> None:
    client = house.client("secretsmanager")
    names = [f"app/{number}" for number in range(20)]
    for name in names:
        client.create_secret(Name=name, SecretString="value")
    counting = Counting(house.app.storage)
    house.app.pipeline = Pipeline(replace(house.app.pipeline._parts, storage=counting))
    batch = [signed(house, "secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": name}) for name in names]
    for written in (1, 0):
        counting.written = 0
        assert {answer.status for answer in house.app.pipeline.handle_batch(batch)} == {200}
        assert counting.written == written
    assert all("LastAccessedDate" in client.describe_secret(SecretId=name) for name in names)


def test_dates_of_use_that_could_not_be_written_are_written_at_the_next_use(house: House) -> None:
    client = house.client("secretsmanager")
    client.create_secret(Name="app/db", SecretString="value")
    fail_next_writes(house, StorageError)
    assert client.get_secret_value(SecretId="app/db")["SecretString"] == "value"
    assert "LastAccessedDate" not in client.describe_secret(SecretId="app/db")
    assert client.get_secret_value(SecretId="app/db")["SecretString"] == "value"
    assert "LastAccessedDate" in client.describe_secret(SecretId="app/db")


def test_a_batch_of_long_records_is_answered_like_any_other(house: House) -> None:
    key = house.client("kms").create_key()["KeyMetadata"]["KeyId"]
    context = {"long": "é" * 35_000}
    asked = {"KeyId": key, "Plaintext": "AAAA", "EncryptionContext": context}
    answers = house.app.pipeline.handle_batch([signed(house, "kms", "TrentService.Encrypt", asked)] * 100)
    assert {answer.status for answer in answers} == {400}
    assert named(house, "Encrypt") == {("Encrypt", "ValidationException"): 100}


def test_on_a_full_disk_a_committed_write_is_acknowledged_and_nothing_else_is(small_house: House) -> None:
    house = small_house
    client = house.client("secretsmanager")
    client.create_secret(Name="there", SecretString="hunter2")
    disk, house.app.trail._disk = house.app.trail._disk, FullDisk()
    house.app.trail._reserve.unlink(missing_ok=True)
    long = {"SecretIdList": ["x" * 2_000] * 20}
    batch = [
        signed(house, "secretsmanager", "secretsmanager.TagResource", {"SecretId": "there", "Tags": [{"Key": "a"}]}),
        *[signed(house, "secretsmanager", "secretsmanager.BatchGetSecretValue", long)] * 20,
        signed(house, "secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "there"}),
    ]
    written, *read = house.app.pipeline.handle_batch(batch)
    assert written.status == 200
    assert {answer.status for answer in read} == {503}
    assert b"hunter2" not in b"".join(answer.body for answer in read)
    house.app.trail._disk = disk
    house.app.tick()
    assert client.describe_secret(SecretId="there")["Tags"] == [{"Key": "a", "Value": ""}]
    found = named(house, "TagResource", "GetSecretValue", "DescribeSecret")
    assert (found["TagResource", ""], found["GetSecretValue", ""], found["DescribeSecret", ""]) == (1, 0, 1)
    assert not house.app.trail.unresolved


def test_on_a_full_disk_a_write_is_refused_before_anything_is_changed(small_house: House) -> None:
    house = small_house
    client = house.client("secretsmanager")
    long = {"SecretIdList": ["x" * 2_000] * 20}
    disk, house.app.trail._disk = house.app.trail._disk, FullDisk()
    house.app.trail._reserve.unlink(missing_ok=True)
    batch = [
        *[signed(house, "secretsmanager", "secretsmanager.BatchGetSecretValue", long)] * 20,
        signed(house, "secretsmanager", "secretsmanager.CreateSecret", {"Name": "db", "ClientRequestToken": "t" * 32}),
    ]
    assert {answer.status for answer in house.app.pipeline.handle_batch(batch)} == {503}
    house.app.trail._disk = disk
    house.app.tick()
    assert not client.list_secrets()["SecretList"]
    assert named(house, "CreateSecret") == {}
    assert not house.app.trail.unresolved


def test_on_a_full_disk_nobody_is_answered_of_all_that_was_worked_and_is_not_on_its_way(small_house: House) -> None:
    house = small_house
    pipeline, client = house.app.pipeline, house.client("secretsmanager")
    client.create_secret(Name="there", SecretString="hunter2")
    read = signed(house, "secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "there"})
    written = signed(
        house, "secretsmanager", "secretsmanager.TagResource", {"SecretId": "there", "Tags": [{"Key": "a"}]}
    )
    long = signed(house, "secretsmanager", "secretsmanager.BatchGetSecretValue", {"SecretIdList": ["x" * 2_000] * 20})
    house.app.trail._sync_seconds = 1.0
    landed = pipeline.work([read])
    assert pipeline.launch(lambda: None)
    disk, house.app.trail._disk = house.app.trail._disk, FullDisk()
    house.app.trail._reserve.unlink(missing_ok=True)
    waiting = [pipeline.work([each]) for each in (read, written, *[long] * 20)]
    pipeline.settle()
    pipeline.land()
    assert [each.status for each in landed.answers] == [200], "its record is on the disk"
    statuses = [each.answers[0].status for each in waiting]
    assert statuses[1] == 200, "it is committed, and its intent is on the disk"
    assert set(statuses[2:]) == {503}
    house.app.trail._disk = disk
    house.app.tick()
    assert named(house, "TagResource") == {("TagResource", ""): 1}
    assert not house.app.trail.unresolved


def test_in_the_space_that_was_held_back_only_what_takes_away_is_served(small_house: House) -> None:
    house, trail = small_house, small_house.app.trail
    client = house.client("secretsmanager")
    client.create_secret(Name="there", SecretString="hunter2")
    trail.give_up_reserve()
    before = len(house.trail())
    for served in (client.list_secrets, partial(client.create_secret, Name="new", SecretString="x")):
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            served()
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        client.delete_secret(SecretId="nobody/knows")
    assert len(house.trail()) == before
    client.delete_secret(SecretId="there")
    assert house.trail()[-1]["eventName"] == "DeleteSecret"
    house.app.tick()
    assert "DeletedDate" in client.describe_secret(SecretId="there")


def test_a_full_database_gets_the_space_that_was_held_back_for_what_takes_away(small_house: House) -> None:
    house, trail = small_house, small_house.app.trail
    client = house.client("secretsmanager")
    client.create_secret(Name="there", SecretString="hunter2")
    fail_next_writes(house, partial(Full, "the disk is full"))
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        client.create_secret(Name="new", SecretString="x")
    assert house.app.ready()
    trail.checkpoint()
    assert not house.app.ready()
    fail_next_writes(house, partial(Full, "the disk is full"))
    client.delete_secret(SecretId="there")
    assert house.app.ready()
    found = named(house, "DeleteSecret", "CreateSecret")
    assert found == {("CreateSecret", ""): 1, ("CreateSecret", "ServiceUnavailable"): 1, ("DeleteSecret", ""): 1}


# -- much at once -----------------------------------------------------------------------------------------------------------


def test_a_secret_of_many_versions_is_deleted_with_an_event_for_each(small_house: House) -> None:
    house = small_house
    client = house.client("secretsmanager")
    client.create_secret(Name="db", SecretString="hunter2")
    for number in range(249):
        client.put_secret_value(SecretId="db", SecretString=str(number))
    client.delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    assert named(house, "DeleteSecret", "StartSecretVersionDelete", "EndSecretVersionDelete") == {
        ("DeleteSecret", ""): 1,
        ("StartSecretVersionDelete", ""): 250,
        ("EndSecretVersionDelete", ""): 250,
    }
    assert len({record["eventID"] for record in house.trail()}) == len(house.trail())


# -- outside ----------------------------------------------------------------------------------------------------------------


@pytest.mark.interpreted
@pytest.mark.parametrize("fault", [Broken("disk I/O error"), TrailBroken("disk I/O error")])
def test_an_error_of_the_disk_that_is_met_outside_is_no_answer(fault: Exception) -> None:
    def fetch() -> Params:
        raise fault

    with pytest.raises(type(fault)):
        fetching((cast("Turn", None), cast("Call", None)), Later(fetch))()


# -- whether a process is ready -----------------------------------------------------------------------------------------------


class OutOfReach(Faulty):
    """A storage whose server is gone."""

    def reading(self) -> AbstractContextManager[Tx]:
        raise StorageError("PostgreSQL is out of reach: host 10.1.2.3, user geumgo")


def test_who_asks_whether_a_process_is_ready_learns_nothing_of_its_surroundings(house: House) -> None:
    storage = house.app.storage
    house.app.storage = OutOfReach(storage, [], commits=False)
    assert house.app.ready() == ["the database cannot be read"]
    house.app.storage = storage
    assert house.app.ready() == []


class Defective(Faulty):
    """A storage whose disk has failed."""

    def reading(self) -> AbstractContextManager[Tx]:
        raise Broken("SQLite SQLITE_IOERR_READ: disk I/O error")


def test_who_asks_whether_a_process_is_ready_is_not_the_one_who_keeps_an_error_of_the_disk(house: House) -> None:
    """It would live on, saying that it is not ready: then nobody asks it anything else, and it never ends."""
    storage = house.app.storage
    house.app.storage = Defective(storage, [], commits=False)
    with pytest.raises(Broken):
        house.app.ready()
    house.app.storage = storage


def test_an_event_of_a_job_is_its_services_own(house: House) -> None:
    """A key's deletion is an event of KMS, whichever process for jobs does it."""
    kms = house.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    house.clock.turn(days=8)
    assert house.run_jobs() > 0
    events = [record for record in house.trail() if record["eventName"] == "DeleteKey"]
    assert [record["eventSource"] for record in events] == ["kms.amazonaws.com"]


# -- more than can be answered -----------------------------------------------------------------------------------------


def surplus(protocol: str, number: int = 0, key: str = "AKIAIOSFODNN7EXAMPLE") -> Surplus:
    headers = {
        "json": [(b"x-amz-target", b"secretsmanager.GetSecretValue"), (b"content-type", b"application/x-amz-json-1.1")],
        "query": [(b"content-type", b"application/x-www-form-urlencoded")],
        "rest-json": [],
        "smithy-rpc-v2-cbor": [(b"smithy-protocol", b"rpc-v2-cbor")],
    }[protocol]
    claim = (b"authorization", f"AWS4-HMAC-SHA256 Credential={key}/20261129/us-east-1/x/aws4_request, x".encode())
    target = b"/2015-03-31/functions" if protocol == "rest-json" else b"/"
    return Surplus(Request("POST", target, (*headers, claim), b"", "198.51.100.7", False, f"surplus-{number}", 0))


@pytest.mark.parametrize("protocol", ["json", "query", "rest-json", "smithy-rpc-v2-cbor"])
def test_a_surplus_request_is_refused_so_that_clients_ask_again_later(house: House, protocol: str) -> None:
    answer = house.app.pipeline.handle_batch([surplus(protocol)])[0]
    told = {
        "headers": HeadersDict({name.decode(): value.decode() for name, value in answer.headers}),
        "body": answer.body,
        "status_code": answer.status,
    }
    parsed = create_parser(protocol).parse(told, None)
    assert answer.status == 400
    assert parsed["Error"]["Message"] == "Rate exceeded"
    context = RetryContext(attempt_number=1, parsed_response=parsed, http_response=AWSResponse("", 400, {}, None))
    assert ThrottledRetryableChecker().is_retryable(context), parsed


def test_surplus_requests_of_one_batch_share_a_record_that_has_all_their_ids(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    batch = [surplus("json", 1), surplus("query", 2), surplus("json", 3, key="AKIAOTHER"), surplus("json", 4)]
    honest = signed(house, "secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "db"})
    answers = house.app.pipeline.handle_batch([honest, *batch])
    assert [answer.status for answer in answers] == [200, 400, 400, 400, 400]
    found = [record for record in house.trail() if record.get("errorCode") == "ThrottlingException"]
    assert [record["userIdentity"]["accessKeyId"] for record in found] == ["AKIAIOSFODNN7EXAMPLE", "AKIAOTHER"]
    assert found[0]["additionalEventData"] == {"requestIDs": ["surplus-1", "surplus-2", "surplus-4"]}
    assert (found[1]["requestID"], found[1].get("additionalEventData")) == ("surplus-3", None)
    assert {record["sourceIPAddress"] for record in found} == {"198.51.100.7"}
