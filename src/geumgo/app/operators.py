"""What operators ask of a data directory, whether a server runs on it or not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from geumgo.access.demand import Demand, Target
from geumgo.app import rings
from geumgo.app.directory import (
    FirstStart,
    accounts_in,
    node_of,
    open_root,
    open_storage,
    refuse_left_behind,
    trusted_keys,
)
from geumgo.audit import store as audit_store
from geumgo.audit.follow import TrailFiles
from geumgo.audit.rewound import lacking, newest_changes
from geumgo.audit.segment import latest_in
from geumgo.audit.verify import Report, records, verify
from geumgo.clock import SystemClock
from geumgo.context import NOBODY, Context, Params, Place
from geumgo.domain.arn import split_arn
from geumgo.errors import ValidationFailed
from geumgo.jobs import queue
from geumgo.sealing import Unsealable
from geumgo.sealing.root import RootKeys
from geumgo.services import secretsmanager, ssm
from geumgo.services.iam.bootstrap import bootstrap
from geumgo.services.iam.directory import Directory
from geumgo.services.iam.explain import Explanation
from geumgo.services.iam.explain import explain as iam_explain
from geumgo.services.kms import targets as kms_targets
from geumgo.services.secretsmanager import rotation_report
from geumgo.services.secretsmanager.rotation_report import Report as RotationReport
from geumgo.settings import Settings
from geumgo.storage import Tx


@contextmanager
def _looking(settings: Settings) -> Iterator[tuple[RootKeys, Tx]]:
    """The root keys, and a reading transaction. Raises Closed if what it finds is under newer ones, which another machine has made."""
    root = open_root(settings)
    storage = open_storage(settings)
    try:
        with storage.reading() as tx:
            yield root, tx
    except Unsealable:
        refuse_left_behind(settings, root)
        raise
    finally:
        storage.close()


def status(settings: Settings) -> dict[str, Any]:
    """How the data directory is, for one screen; `problems` are plain sentences, none if all is well."""
    with _looking(settings) as (root, tx):
        accounts = accounts_in(settings, tx, root)
        jobs = queue.counts(tx, now_ms=SystemClock().now_ms())
        given_up = queue.parked(tx)
        heads = audit_store.heads(tx, node_of(settings))
    problems = [
        f"The job {each.kind} for {each.place.account}/{each.place.region} was given up after {each.attempts} attempts ({each.last_error})."
        for each in given_up
    ]
    if len(root.terms) > 1:
        problems.append(
            "New root keys were begun and are not finished: `geumgo rekey` goes on with it, `geumgo rekey --status` says how far it is."
        )
    return {
        "data": str(settings.data.resolve()),
        "database": "PostgreSQL" if settings.database else "SQLite",
        "seal": settings.seal,
        "regions": list(settings.regions),
        "accounts": accounts,
        "jobs_waiting": jobs.waiting,
        "jobs_running": jobs.running,
        "jobs_given_up": jobs.parked,
        "trail_chains": len(heads),
        "problems": problems,
    }


def rotations(settings: Settings, secret_id: str | None) -> list[RotationReport]:
    """How rotations stand, by the names of the secrets: of all, or of those that have this name or ARN."""
    with _looking(settings) as (root, tx):
        found = list(rotation_report.reports(tx, root, SystemClock().now_ms()))
    return [each for each in found if secret_id in (None, each.name, each.arn)]


def latest_moment(settings: Settings) -> tuple[int, str] | None:
    """The latest moment that was noted (Unix milliseconds), in the trail of this machine or by any machine in the database, and by whom."""
    storage = open_storage(settings)
    try:
        with storage.reading() as tx:
            noted = [(head.at_ms, head.chain) for node in audit_store.nodes(tx) for head in audit_store.heads(tx, node)]
    finally:
        storage.close()
    trail = TrailFiles(settings.audit)
    for chain in trail.chains():
        at_ms = latest_in(settings.audit / chain)
        if at_ms is not None:
            noted.append((at_ms, chain))
    return max(noted, default=None)


def verify_trail(settings: Settings) -> Report:
    """Every chain of this machine, checked with the public key against the heads that the database keeps; and the database against them."""
    root = open_root(settings)
    changes = newest_changes(settings.audit)
    storage = open_storage(settings)
    try:
        with storage.reading() as tx:
            anchors = audit_store.heads(tx, node_of(settings))
            problems = lacking(changes, tx, SystemClock().now_ms())
    finally:
        storage.close()
    report = verify(settings.audit, trusted_keys(root), anchors)
    report.problems += problems
    return report


def read_trail(settings: Settings) -> list[dict[str, Any]]:
    """Every record of this machine's chains, oldest first; of a write only if it was committed."""
    return list(records(settings.audit))


def trail_records(settings: Settings) -> Iterator[dict[str, Any]]:
    """As `read_trail`, one record at a time."""
    return records(settings.audit)


def explain(
    settings: Settings, principal: str, action: str, resource: str, keys: Mapping[str, tuple[str, ...]]
) -> Explanation:
    """Whether `principal` (an ARN) may do `action` on `resource` with these condition keys, and why. Raises NoSuchPrincipal."""
    arn = split_arn(resource)
    region = arn.region if arn is not None and arn.region else settings.home
    now_s = str(SystemClock().now_ms() // 1000)
    with _looking(settings) as (root, tx):
        ctx = Context(
            tx=tx,
            place=Place("", region, settings.partition),
            caller=NOBODY,
            clock=SystemClock(),
            sealing=root,
            request_id="",
            gateway=NoDoor(),
            conditions={
                "aws:RequestedRegion": (region,),
                "aws:CurrentTime": (now_s,),
                "aws:EpochTime": (now_s,),
            },
            reads_only=True,
            regions=frozenset(settings.regions),
            principals=Directory(root, settings.partition),
        )
        return iam_explain(ctx, principal, action, resource, keys, REACH)


def reach_key(ctx: Context, action: str, resource: str, keys: Mapping[str, tuple[str, ...]]) -> Demand:
    """What an operation on a KMS key asks; `keys` may hold an encryption context, which grants look at."""
    prefix = "kms:EncryptionContext:"
    sealed_with = {key.removeprefix(prefix): values[0] for key, values in keys.items() if key.startswith(prefix)}
    return kms_targets.demand_on(ctx, resource, action, sealed_with, {})


def reach_secret(ctx: Context, action: str, resource: str, keys: Mapping[str, tuple[str, ...]]) -> Demand:  # noqa: ARG001
    return secretsmanager.ROOM.operations["DescribeSecret"].access.demands(ctx, {"SecretId": resource})[0]


def reach_parameter(ctx: Context, action: str, resource: str, keys: Mapping[str, tuple[str, ...]]) -> Demand:  # noqa: ARG001
    """What an operation on a parameter asks; of anything else of Systems Manager, by its ARN."""
    try:
        return ssm.ROOM.operations["GetParameter"].access.demands(ctx, {"Name": resource})[0]
    except ValidationFailed:
        arn = split_arn(resource)
        return Demand(
            f"ssm:{action}", Target(resource, resource, arn.account if arn is not None else ctx.place.account)
        )


REACH: Final = {"kms": reach_key, "secretsmanager": reach_secret, "ssm": reach_parameter}


class NoDoor:
    """Who only looks at rights asks no other room."""

    def call(self, ctx: Context, service: str, operation: str, params: Params) -> Params:  # noqa: ARG002
        raise AssertionError(f"a question about rights asked {service} to {operation}")

    def act(self, ctx: Context, service: str, operation: str, source_arn: str, params: Params) -> Params:  # noqa: ARG002
        raise AssertionError(f"a question about rights asked {service} to {operation}")

    def forbids(self, ctx: Context, demand: Demand) -> bool:  # noqa: ARG002
        raise AssertionError("a question about rights asked another one")


def create_account(settings: Settings, account: str) -> FirstStart:
    """A further account with its administrator. Raises iam's AccountExists, ValueError."""
    with rings.held(settings) as root:
        storage = open_storage(settings, root)
        try:
            with storage.writing() as tx:
                key = bootstrap(tx, root, account, SystemClock().now_ms())
        finally:
            storage.close()
    return FirstStart(account, key.access_key_id, key.secret.reveal().decode())
