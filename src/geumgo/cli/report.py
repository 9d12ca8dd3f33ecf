"""`geumgo report`: what an operator wants to see in one table."""

import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from geumgo.cli.client import Client, ClientError, from_environment
from geumgo.cli.plain import data_option, existing
from geumgo.services.config.domain_rules import DAY_MS, NON_COMPLIANT, SecretFacts, unused

PAGE: Final = 100
LOOKED_AT: Final = 10  # pages of events on one secret
WINDOW_DAYS: Final = 30  # in which a deleted secret can be restored
TRAIL: Final = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"
NOT_KNOWN: Final = "?"

Readers = Callable[[str, str], str]
"""Who read the secret (ARN, name) last, or NOT_KNOWN."""


@dataclass(frozen=True, slots=True)
class Line:
    """A secret that nobody uses. `last_read` is a day, or "never"; `owner` is its tag, or empty; `command` is what would act."""

    name: str
    arn: str
    last_read: str
    unused_days: int
    last_reader: str
    age_days: int
    owner: str
    command: str


@click.group()
def report() -> None:
    """What there is to know, in a table."""


@report.command("unused")
@click.option(
    "--days", type=click.IntRange(0, 3650), default=90, show_default=True, help="Whole days without a reader."
)
@click.option("--owner-tag", default="owner", show_default=True, metavar="KEY", help="The tag that names the owner.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@data_option
def unused_secrets(days: int, owner_tag: str, as_json: bool, data: Path | None, config: Path | None) -> None:
    """Print the secrets whose value nobody has read for so many days.

    They are the ones that AWS Config's rule SECRETSMANAGER_SECRET_UNUSED calls NON_COMPLIANT. Endpoint, region and access key are taken
    from AWS_ENDPOINT_URL and so on, as AWS's tools do. Who read a secret last is asked of CloudTrail's event history; with --data it is
    looked up in the audit trail of that data directory instead, on the machine that wrote it. Nothing is changed.
    """
    client = from_environment("secretsmanager", os.environ)
    now_ms = time.time_ns() // 1_000_000
    found = [entry for entry in listed(client) if is_unused(entry, days, now_ms)]
    if data is not None or config is not None:
        readers = of_trail(existing(config, data=data), found)
    else:
        readers = of_history(from_environment("cloudtrail", os.environ, target=TRAIL))
    lines = sorted((line_of(entry, owner_tag, readers, now_ms) for entry in found), key=lambda line: -line.unused_days)
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], ensure_ascii=False))
        return
    for text in table(lines):
        click.echo(text)


def listed(client: Client) -> Iterator[Mapping[str, Any]]:
    """Every secret that does not wait for its deletion. Raises ClientError."""
    token: dict[str, str] = {}
    while True:
        page = client.ask("ListSecrets", {"MaxResults": PAGE, **token})
        yield from page.get("SecretList", [])
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def is_unused(entry: Mapping[str, Any], days: int, now_ms: int) -> bool:
    """Whether Config's rule would say so."""
    facts = SecretFacts(
        arn=entry["ARN"],
        name=entry["Name"],
        created_at_ms=round(entry["CreatedDate"] * 1000),
        changed_at_ms=round(entry["LastChangedDate"] * 1000),
        accessed_at_ms=round(entry["LastAccessedDate"] * 1000) if "LastAccessedDate" in entry else None,
    )
    return unused(facts, {"unusedForDays": str(days)}, now_ms, "").compliance == NON_COMPLIANT


def line_of(entry: Mapping[str, Any], owner_tag: str, readers: Readers, now_ms: int) -> Line:
    read = entry.get("LastAccessedDate")
    created_ms = entry["CreatedDate"] * 1000
    owner = next((tag.get("Value", "") for tag in entry.get("Tags", []) if tag["Key"].lower() == owner_tag.lower()), "")
    service = entry.get("OwningService")
    return Line(
        name=entry["Name"],
        arn=entry["ARN"],
        last_read="never" if read is None else datetime.fromtimestamp(read, UTC).strftime("%Y-%m-%d"),
        unused_days=int((now_ms - (created_ms if read is None else read * 1000)) // DAY_MS),
        last_reader="-" if read is None else readers(entry["ARN"], entry["Name"]),
        age_days=int((now_ms - created_ms) // DAY_MS),
        owner=owner,
        command=f"(belongs to {service})" if service else command_for(entry["Name"]),
    )


def command_for(name: str) -> str:
    """The command that acts, and can be taken back: within the window by `aws secretsmanager restore-secret`."""
    return f"aws secretsmanager delete-secret --secret-id {shlex.quote(name)} --recovery-window-in-days {WINDOW_DAYS}"


# -- who read last ----------------------------------------------------------------------------------------------------


def of_history(client: Client) -> Readers:
    """Asks CloudTrail's event history, newest first. Where it does not answer, nothing is known, and that is said once."""
    silent: list[bool] = []

    def last(arn: str, name: str) -> str:  # noqa: ARG001 - the history finds a secret by its name, however it was called
        if silent:
            return NOT_KNOWN
        try:
            return next(filter(None, (reader_in(json.loads(each)) for each in events_on(client, name))), NOT_KNOWN)
        except ClientError as fault:
            silent.append(True)
            click.echo(f"Who read them last is not known: {fault.message}", err=True)
            return NOT_KNOWN

    return last


def events_on(client: Client, name: str) -> Iterator[str]:
    """The records of what was done with a secret, newest first."""
    token: dict[str, str] = {}
    for _ in range(LOOKED_AT):
        attribute = {"AttributeKey": "ResourceName", "AttributeValue": name}
        page = client.ask("LookupEvents", {"LookupAttributes": [attribute], **token})
        yield from (event["CloudTrailEvent"] for event in page.get("Events", []) if "CloudTrailEvent" in event)
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def of_trail(settings: Any, entries: Iterable[Mapping[str, Any]]) -> Readers:
    """Looks through the audit trail once."""
    from geumgo import app

    names = {each: entry["ARN"] for entry in entries for each in (entry["ARN"], entry["ARN"][:-7], entry["Name"])}
    newest: dict[str, str] = {}
    for record in app.trail_records(settings):
        reader = reader_in(record)
        named = (record.get("requestParameters") or {}).get("secretId")
        if reader and named in names:
            newest[names[named]] = reader
    return lambda arn, _name: newest.get(arn, NOT_KNOWN)


def reader_in(record: Mapping[str, Any]) -> str:
    """Who read a value, if the record says that somebody did: his ARN, or the service. Empty: it says something else."""
    if record.get("eventName") != "GetSecretValue" or record.get("errorCode"):
        return ""
    identity = record.get("userIdentity", {})
    who = identity.get("arn") or identity.get("invokedBy") or identity.get("type", "")
    return f"{who}"


# -- the table --------------------------------------------------------------------------------------------------------


def table(lines: list[Line]) -> Iterator[str]:
    if not lines:
        yield "Every secret is used."
        return
    head = ("SECRET", "LAST READ", "UNUSED", "LAST READER", "AGE", "OWNER")
    rows = [
        (line.name, line.last_read, f"{line.unused_days} d", line.last_reader, f"{line.age_days} d", line.owner or "-")
        for line in lines
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield "To schedule their deletion, and within the window to take it back (aws secretsmanager restore-secret):"
    yield from (f"  {line.command}" for line in lines)
