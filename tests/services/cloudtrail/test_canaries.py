"""No secret value, token or key in a record, an index row, a copy, an event, a delivered file or a sink, in any encoding."""

import gzip
import json
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from geumgo.outbound import Allowed, Outbound
from geumgo.services.cloudtrail.copies import unpacked
from geumgo.services.cloudtrail.feeder import Feeder
from geumgo.services.cloudtrail.sinks import sink_of
from tests.house import House, Key
from tests.promises.test_canaries import MARK, hits

MINUTE = 60_000


def refused(call: Any, **params: Any) -> None:
    try:
        call(**params)
    except ClientError:
        return
    raise AssertionError("this was to be refused")


def plant(house: House) -> list[str]:
    """Calls that carry secrets in every way that callers do, well or badly. Answers secrets that do not bear the mark."""
    sm, kms, iam, ssm, sts = (house.client(name) for name in ("secretsmanager", "kms", "iam", "ssm", "sts"))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for number in range(20):
        value = f"{number:04x}{MARK}-{number * 7919}"
        sm.create_secret(Name=f"s{number}", SecretString=value)
        sm.put_secret_value(SecretId=f"s{number}", SecretBinary=value.encode())
        sm.update_secret(SecretId=f"s{number}", SecretString=json.dumps({"password": value}))
        sm.get_secret_value(SecretId=f"s{number}")
        sealed = kms.encrypt(KeyId=key, Plaintext=value.encode())["CiphertextBlob"]
        kms.decrypt(CiphertextBlob=sealed)
        ssm.put_parameter(Name=f"/p{number}", Value=value, Type="SecureString")
        ssm.get_parameter(Name=f"/p{number}", WithDecryption=True)
    sm.batch_get_secret_value(SecretIdList=[f"s{number}" for number in range(10)])
    value = f"ffff{MARK}-1"
    refused(sm.create_secret, Name="not a name", SecretString=value)
    refused(sm.put_secret_value, SecretId="absent", SecretString=value)
    refused(sm.create_secret, Name="both", SecretString=value, SecretBinary=value.encode())
    iam.create_user(UserName="ann")
    iam.create_login_profile(UserName="ann", Password=f"Aa1!{MARK}-password-of-hers")
    iam.update_login_profile(UserName="ann", Password=f"Bb2!{MARK}-password-of-hers")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    session = sts.get_session_token()["Credentials"]
    inside = Key(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    house.client("secretsmanager", inside).get_secret_value(SecretId="s1")
    forged = Key(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"][:-8] + "AAAAAAAA")
    refused(house.client("secretsmanager", forged).get_secret_value, SecretId="s1")
    password = sm.get_random_password()["RandomPassword"]
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    return [
        made["SecretAccessKey"],
        session["SecretAccessKey"],
        session["SessionToken"][:40],
        house.admin.secret,
        json.dumps(password)[1:-1],
        data_key["Plaintext"].hex(),
    ]


def everything_written(house: House, sink: Path) -> dict[str, bytes]:
    """All that leaves the trail, unpacked."""
    found = {"the trail": json.dumps(house.trail()).encode(), "the sink": sink.read_bytes()}
    for path in (house.settings.data / "deliveries").rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            found[str(path)] = gzip.decompress(raw) if path.suffix == ".gz" else raw
    for path in [*(house.settings.data / "events").rglob("*.jsonl"), *house.settings.audit.rglob("*.trail")]:
        found[str(path)] = path.read_bytes()
    with house.app.storage.reading() as tx:
        for at, (copy,) in enumerate(tx.all("SELECT copy FROM cloudtrail_record")):
            found[f"copy {at}"] = unpacked(copy[36:])
        for table in ("cloudtrail_record", "cloudtrail_posting", "cloudtrail_position", "cloudtrail_file", "cloudtrail_digest",
                      "cloudtrail_trail", "cloudtrail_status", "event_delivery", "job"):  # fmt: skip
            found[table] = b"\n".join(
                cell if isinstance(cell, bytes) else str(cell).encode()
                for row in tx.all(f"SELECT * FROM {table}")
                for cell in row
            )
    return found


def test_nothing_that_leaves_the_trail_holds_a_secret(house: House, tmp_path: Path) -> None:
    house.app.indexer.copies = True
    trail, events = house.client("cloudtrail"), house.client("events")
    trail.create_trail(Name="main", S3BucketName="bucket", EnableLogFileValidation=True)
    trail.start_logging(Name="main")
    events.put_rule(Name="all", EventPattern=json.dumps({"account": [house.account]}),
                    State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")  # fmt: skip
    events.put_targets(
        Rule="all", Targets=[{"Id": "t", "Arn": f"arn:aws:logs:us-east-1:{house.account}:log-group:all"}]
    )
    plain = plant(house)
    path = tmp_path / "sink.jsonl"
    sink = sink_of(f"file:{path}", Outbound(Allowed.of(())), "")
    for ms in (6 * MINUTE, 60 * MINUTE):
        house.index()
        house.clock.turn(ms=ms)
        house.run_jobs()
    Feeder(1, "file", sink, house.app.indexer.files, house.clock).feed(house.app.storage)
    written = everything_written(house, path)
    assert sum("deliveries" in name for name in written) >= 3
    assert any("all.jsonl" in name for name in written)
    assert sum(name.startswith("copy") for name in written) > 100
    problems = [hit for name, blob in written.items() for hit in hits(blob, name)]
    problems += [
        f"{secret[:4]}... in {name}" for secret in plain for name, blob in written.items() if secret.encode() in blob
    ]
    assert problems == []
    shown = json.dumps(trail.lookup_events()["Events"], default=str)
    assert MARK not in shown
