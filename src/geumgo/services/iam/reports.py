"""What auditors ask for: the whole of an account's authorizations, and the state of everybody's credentials."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.iam import builtin, domain
from geumgo.services.iam.attachments import attached_policies, show_attached
from geumgo.services.iam.errors import ReportExpired, ReportNotPresent
from geumgo.services.iam.instance_profiles import show_profile
from geumgo.services.iam.lookup import page, quoted, show_boundary, show_group, show_tags, show_user
from geumgo.services.iam.managed import show_policy, show_version
from geumgo.services.iam.passwords import need_account
from geumgo.services.iam.records import Kind, ManagedPolicy, Principal
from geumgo.services.iam.roles import full_role
from geumgo.services.iam.store import (
    deletions,
    devices,
    holdings,
    instance_profiles,
    keys,
    logins,
    policies,
    principals,
)

REPORT_LASTS_MS: Final = 4 * 3_600_000  # Source: GetCredentialReport, API reference
_MEMBERS: Final = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}
_KEY_COLUMNS: Final = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
COLUMNS: Final = (
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    *(f"access_key_{number}_{column}" for number in (1, 2) for column in _KEY_COLUMNS),
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
)
"""Source: "Get credential reports", IAM User Guide."""


@reads
def get_account_authorization_details(ctx: Context, params: Params) -> Params:
    """Users, groups, roles and managed policies with all that they hold, in pages that run over all four.

    Of AWS's own policies those that are in use. Source: GetAccountAuthorizationDetails, API reference.
    """
    wanted = params.get("Filter") or list(_MEMBERS)
    entries: list[tuple[str, str, Callable[[], Params]]] = []
    for entity, kind, detail in (("User", "user", _user), ("Group", "group", _group), ("Role", "role", _role)):
        if entity in wanted:
            entries.extend(
                (f"{kind} {domain.name_key(owner.name)}", _MEMBERS[entity], _later(detail, ctx, owner))
                for owner in principals.under(ctx.tx, ctx.sealing, ctx.place.account, _kind(kind))
            )
    for policy in _policies(ctx, wanted):
        key = f"x {policy.account == domain.AWS_ACCOUNT:d} {domain.name_key(policy.name)}"
        entries.append((key, "Policies", _later_policy(ctx, policy)))
    paged = page(params, entries, lambda entry: entry[0], lambda entry: entry, "entries")
    lists: Params = {member: [] for member in _MEMBERS.values()}
    for _, member, detail_of in paged.pop("entries"):
        lists[member].append(detail_of())
    return {**lists, **paged}


@operation
def generate_credential_report(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    """A new report is there at once, so the state is COMPLETE with the first answer."""
    need_account(ctx)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for user in principals.under(ctx.tx, ctx.sealing, ctx.place.account, "user"):
        writer.writerow(_row(ctx, user))
    deletions.save_report(ctx.tx, ctx.place.account, text.getvalue().encode(), ctx.clock.now_ms())
    return {"State": "COMPLETE"}


@reads
def get_credential_report(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    found = deletions.report(ctx.tx, ctx.place.account)
    if found is None:
        raise ReportNotPresent
    content, made_at_ms = found
    if ctx.clock.now_ms() - made_at_ms > REPORT_LASTS_MS:
        raise ReportExpired
    return {"Content": content, "ReportFormat": "text/csv", "GeneratedTime": as_datetime(made_at_ms)}


def _row(ctx: Context, user: Principal) -> list[str]:
    """One user's line. There are no certificates here, which is what the columns say."""
    login = logins.find(ctx.tx, ctx.sealing, user.id)
    used = keys.last_used(ctx.tx, user.id)
    cells = [_plain(user.name), user.arn(ctx.place.partition), _time(user.created_at_ms)]
    if login is None:
        cells += ["false", "N/A", "N/A", "N/A"]
    else:
        age_days = int((need_account(ctx).password_rules or {}).get("MaxPasswordAge", 0))
        until = _time(login.changed_at_ms + age_days * 86_400_000) if age_days else "N/A"
        cells += ["true", _time(used[0]) if used is not None else "no_information", _time(login.changed_at_ms), until]
    cells.append("true" if devices.of_user(ctx.tx, ctx.sealing, user.id) else "false")
    held = keys.of_user(ctx.tx, ctx.sealing, user.id)
    for number in range(2):
        if number >= len(held):
            cells += ["false", "N/A", "N/A", "N/A", "N/A"]
            continue
        key = held[number]
        last = _time(key.used_at_ms) if key.used_at_ms is not None else "N/A"
        active = "true" if key.status == "Active" else "false"
        cells += [active, _time(key.created_at_ms), last, key.used_region or "N/A", key.used_service or "N/A"]
    return [*cells, "false", "N/A", "false", "N/A"]


def _plain(name: str) -> str:
    """A name as a cell that no spreadsheet takes for a formula: names may begin with =, + or @."""
    return f"'{name}" if name[:1] in "=+-@" else name


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()


def _kind(kind: str) -> Kind:
    return "user" if kind == "user" else "group" if kind == "group" else "role"


def _later(detail: Callable[[Context, Principal], Params], ctx: Context, owner: Principal) -> Callable[[], Params]:
    return lambda: detail(ctx, owner)


def _later_policy(ctx: Context, policy: ManagedPolicy) -> Callable[[], Params]:
    return lambda: _managed(ctx, policy)


def _policies(ctx: Context, wanted: list[str]) -> list[ManagedPolicy]:
    found = policies.of_account(ctx.tx, ctx.sealing, ctx.place.account) if "LocalManagedPolicy" in wanted else []
    if "AWSManagedPolicy" in wanted:
        account = ctx.place.account
        found += [
            policy
            for policy in builtin.every()
            if policies.attachments(ctx.tx, account, policy.id) or policies.boundaries(ctx.tx, account, policy.id)
        ]
    return found


def _holds(ctx: Context, owner: Principal, member: str) -> Params:
    inline = holdings.read(ctx.tx, owner).inline
    return {
        member: [{"PolicyName": name, "PolicyDocument": quoted(document)} for name, document in inline],
        "AttachedManagedPolicies": [show_attached(ctx, policy) for policy in attached_policies(ctx, owner)],
    }


def _user(ctx: Context, user: Principal) -> Params:
    in_groups = holdings.read(ctx.tx, user).groups
    groups = [group.name for group in principals.groups_of(ctx.tx, ctx.sealing, user.id) if group.id in in_groups]
    return {
        **show_user(ctx, user),
        **_holds(ctx, user, "UserPolicyList"),
        **show_boundary(ctx, user),
        "GroupList": groups,
        "Tags": show_tags(user.tags),
    }


def _group(ctx: Context, group: Principal) -> Params:
    return {**show_group(ctx, group), **_holds(ctx, group, "GroupPolicyList")}


def _role(ctx: Context, role: Principal) -> Params:
    shown = full_role(ctx, role)
    shown.pop("MaxSessionDuration", None)
    shown.pop("Description", None)
    profiles = instance_profiles.of_role(ctx.tx, ctx.sealing, role.id)
    return {
        **shown,
        **_holds(ctx, role, "RolePolicyList"),
        "InstanceProfileList": [show_profile(ctx, profile) for profile in profiles],
        "Tags": show_tags(role.tags),
    }


def _managed(ctx: Context, policy: ManagedPolicy) -> Params:
    found = policies.versions(ctx.tx, ctx.sealing, policy)
    shown = [{**show_version(policy, version), "Document": quoted(version.document)} for version in found]
    return {**show_policy(ctx, policy), "PolicyVersionList": shown}
