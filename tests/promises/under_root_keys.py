"""A house with something in every table that is under the root keys, and what of it is still in an older term."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from geumgo.app.directory import open_root
from geumgo.app.rooms import renewals
from geumgo.renewal import MAC, Renewal
from geumgo.sealing import Plaintext, Unsealable
from geumgo.sealing.root import RootKeys, wrapping_id
from geumgo.services.cloudtrail import signing_keys
from geumgo.services.ecs import store as ecs
from geumgo.services.geumgo import attempts, domain
from geumgo.services.geumgo import store as attempts_store
from geumgo.services.rds import store as rds
from geumgo.services.rds.records import Database
from geumgo.services.redshift import store as redshift
from geumgo.services.redshift.records import Cluster
from geumgo.storage import Storage, Tx
from tests.functions.zips import package
from tests.house import House
from tests.promises.tricks import allow, document, trusts

ROLE: Final = "runner"
MAC_TEXT: Final = re.compile(r"([0-9a-f]{8})[0-9a-f]{64}")


def furnish(house: House) -> dict[str, Any]:
    """Every table has a row. Answers what a later question needs."""
    known = {"role": _people(house), **_secrets(house)}
    _functions(house, known["role"])
    _events(house)
    _databases(house)
    _rest(house)
    return known


def _people(house: House) -> str:
    iam = house.client("iam")
    iam.create_policy(PolicyName="p", PolicyDocument=document(allow("kms:ListKeys")))
    house.user("ann", allow("*"))
    iam.create_login_profile(UserName="ann", Password="Correct-Horse-9")
    iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")
    role: str = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trusts({"Service": "lambda.amazonaws.com"}))[
        "Role"
    ]["Arn"]
    return role


def _secrets(house: House) -> dict[str, Any]:
    kms, secrets, ssm = (house.client(name) for name in ("kms", "secretsmanager", "ssm"))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/k", TargetKeyId=key)
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    for name, more in (("default", {}), ("own", {"KmsKeyId": key})):
        secrets.create_secret(Name=name, SecretString=f"first {name}", **more)
        secrets.put_secret_value(SecretId=name, SecretString=f"value {name}")
    ssm.put_parameter(Name="/plain", Value="plain", Type="String")
    ssm.put_parameter(Name="/secure", Value="secure", Type="SecureString", KeyId=key)
    ssm.put_parameter(Name="/advanced", Value="advanced", Type="SecureString", Tier="Advanced")
    signature = kms.sign(KeyId=signing, Message=b"m", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    return {
        "blob": kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"],
        "signing": signing,
        "signature": signature,
    }


def _functions(house: House, role: str) -> None:
    functions = house.client("lambda")
    functions.create_function(
        FunctionName="f", Role=role, Handler="index.handler", Runtime="python3.11",
        Code={"ZipFile": package("def handler(event, context): pass")}, Environment={"Variables": {"WORD": "hidden"}},
        Publish=True,
    )  # fmt: skip
    functions.publish_layer_version(LayerName="layer", Content={"ZipFile": package("x = 1")})
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")


def _events(house: House) -> None:
    events = house.client("events")
    bus = f"arn:aws:events:us-east-1:{house.account}:event-bus/default"
    events.create_archive(ArchiveName="all", EventSourceArn=bus)
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["me"]}))
    target = f"arn:aws:lambda:us-east-1:{house.account}:function:f"
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": target}])
    events.put_events(Entries=[{"Source": "me", "DetailType": "t", "Detail": json.dumps({"number": 7})}])


def _databases(house: House) -> None:
    root = open_root(house.settings)
    kinds: tuple[tuple[Any, Any, Any], ...] = ((rds.STORE, Database, "db"), (redshift.STORE, Cluster, "cluster"))
    for store, record, kind in kinds:
        made: Any = record(
            "aws",
            house.account,
            "us-east-1",
            kind,
            "main",
            "db-X",
            "postgres",
            "127.0.0.1",
            5432,
            True,
            "app",
            "admin",
            1,
        )
        kept: Any = store
        sealed = {name: kept.seal(root, made, Plaintext(name.encode())) for name in ("password", "next_password")}
        with house.app.storage.writing() as tx:
            kept.add(tx, root, record(**{**{f: getattr(made, f) for f in made.__dataclass_fields__}, **sealed}))


def _rest(house: House) -> None:
    root, storage, now_ms = open_root(house.settings), house.app.storage, house.clock.now_ms()
    signing_keys.current_key(storage, root, now_ms)
    arn = f"arn:aws:acm-pca:us-east-1:{house.account}:certificate-authority/ca"
    keys = attempts.keys_of(root, house.account, "ann", "192.0.2.1")
    with storage.writing() as tx:
        authority: dict[str, Any] = {
            "arn": arn,
            "certificate": "PEM",
            "private_key": ecs.seal(root, arn, Plaintext(b"key")),
            "created_at_ms": now_ms,
        }
        tx.run(
            "INSERT INTO ecs_authority (arn, certificate, private_key, created_at_ms, mac)"
            " VALUES (:arn, :certificate, :private_key, :created_at_ms, :mac)",
            **authority,
            mac=root.vouch("ecs_authority", authority),
        )
        attempts_store.save(tx, keys.pair, domain.Attempts(1, now_ms, 0))
    house.index()
    kinds = tables_of(storage)
    with storage.writing() as tx:
        for _, each in renewals():
            if each.marks == (MAC,) and not _rows(tx, each):
                _made_up(tx, root, each, kinds[each.table])


def _made_up(tx: Tx, root: RootKeys, table: Renewal, kinds: Mapping[str, str]) -> None:
    """A row of a table that is only vouched for. What it says means nothing; that we have said it can be proven."""
    row: dict[str, Any] = {name: 1 if kinds[name] == "number" else "x" for name in table.columns}
    mac = root.vouch(table.table, row)
    row.update(_BESIDE.get(table.table, {}))
    names = [*row, "mac"]
    tx.run(
        f"INSERT INTO {table.table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})",
        **row,
        mac=mac,
    )


_BESIDE: Final[dict[str, dict[str, Any]]] = {
    "ssm_automation": {"status": "Success", "steps": "[]"},
    "lambda_function": {"revision": 1},
}


def _rows(tx: Tx, table: Renewal) -> list[dict[str, Any]]:
    names = table.selected()
    found = tx.all(f"SELECT {', '.join(names)} FROM {table.table}")
    return [dict(zip(names, row, strict=True)) for row in found]


def every_row(storage: Storage) -> Iterator[tuple[Renewal, Mapping[str, Any]]]:
    """Every row that is under the root keys."""
    for _, table in renewals():
        with storage.reading() as tx:
            found = _rows(tx, table)
        for row in found:
            yield table, row


def opened_by(storage: Storage, root: RootKeys) -> tuple[set[str], set[str]]:
    """The tables of which `root` proves and opens some row, and those of which it does not one."""
    opens, refuses = set(), set()
    for table, row in every_row(storage):
        marks = [row[mark.column] for mark in table.marks]
        if all(mark is None for mark in marks) or marks == [row.get("id")]:  # nothing sealed; or a keyed hash
            continue
        try:
            with storage.reading() as tx:
                table.renewed(tx, root, row)
            opens.add(table.table)
        except Unsealable:
            refuses.add(table.table)
    return opens, refuses


def left_of(storage: Storage, term: int) -> set[str]:
    """Every column of any table in which something of `term` stands, whatever the rooms say of their tables."""
    ids = [wrapping_id(mark.purpose) for _, each in renewals() for mark in each.marks if mark.purpose]
    mark = term.to_bytes(4, "big")
    heads = [each + mark for each in ids]
    found = set()
    for table, columns in tables_of(storage).items():
        with storage.reading() as tx:
            rows = tx.all(f"SELECT {', '.join(columns)} FROM {table}")
        for row in rows:
            for name, cell in zip(columns, row, strict=True):
                if isinstance(cell, bytes) and (
                    any(cell[2:22] == head for head in heads) or (cell[:4] == mark and _may_be_mac(cell, table, name))
                ):
                    found.add(f"{table}.{name}")
                if isinstance(cell, str) and any(int(each[1], 16) == term for each in MAC_TEXT.finditer(cell)):
                    found.add(f"{table}.{name}")
    return found


def _may_be_mac(cell: bytes, table: str, name: str) -> bool:
    return len(cell) == 36 or (table, name) == ("cloudtrail_record", "copy")


def tables_of(storage: Storage) -> dict[str, dict[str, str]]:
    """The columns of every table, each with what it holds: "number", "text" or "bytes"."""
    there = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    found: dict[str, dict[str, str]] = {}
    with storage.reading() as tx:
        if hasattr(storage, "path"):
            for (table,) in tx.all(there):
                columns = tx.all("SELECT name, type FROM pragma_table_info(:table)", table=table)
                found[str(table)] = {str(name): _KINDS[str(kind).lower()] for name, kind in columns}
        else:
            for table, name, kind in tx.all(
                "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
            ):
                found.setdefault(str(table), {})[str(name)] = _KINDS.get(str(kind), str(kind))
    return found


_KINDS: Final = {
    "int": "number",
    "integer": "number",
    "bigint": "number",
    "text": "text",
    "blob": "bytes",
    "bytea": "bytes",
}


def reads_as_before(house: House, known: Mapping[str, Any]) -> None:
    """What callers see of all this is what it was."""
    secrets, ssm, kms = (house.client(name) for name in ("secretsmanager", "ssm", "kms"))
    for name in ("default", "own"):
        assert secrets.get_secret_value(SecretId=name)["SecretString"] == f"value {name}"
        assert secrets.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == f"first {name}"
    for name in ("plain", "secure", "advanced"):
        assert ssm.get_parameter(Name=f"/{name}", WithDecryption=True)["Parameter"]["Value"] == name
    assert kms.decrypt(CiphertextBlob=known["blob"])["Plaintext"] == b"kept"
    asked = {"KeyId": known["signing"], "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    assert kms.verify(**asked, Signature=known["signature"])["SignatureValid"]
    functions = house.client("lambda")
    assert functions.get_function_configuration(FunctionName="f")["Environment"]["Variables"] == {"WORD": "hidden"}
    assert functions.list_layers()["Layers"]
    assert house.client("iam").get_login_profile(UserName="ann")
    assert house.client("events").list_targets_by_rule(Rule="r")["Targets"]
    assert house.client("cloudtrail").list_public_keys(StartTime=_at(house) - timedelta(days=1), EndTime=_at(house))[
        "PublicKeyList"
    ]


def _at(house: House) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(house.clock.now_ms() / 1000, UTC)
