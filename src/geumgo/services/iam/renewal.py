"""What the room keeps under the root keys, and how it comes under the newest of them."""

from typing import Final

from geumgo.renewal import MAC, Mark, Renewal, vouched
from geumgo.services.iam.store import devices, keys

_SEALED: Final = Mark("sealed", "iam")

RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("iam_account", ("id",), ("id", "alias", "password_rules", "created_at_ms", "revision")),
    vouched(
        "iam_principal",
        ("id",),
        (
            "id",
            "account_id",
            "kind",
            "name",
            "name_key",
            "path",
            "created_at_ms",
            "tags",
            "boundary_id",
            "trust",
            "description",
            "max_session_s",
            "serves",
            "holdings",
            "not_before_ms",
            "revision",
        ),
    ),
    vouched(
        "iam_policy",
        ("id",),
        (
            "id",
            "account_id",
            "name",
            "name_key",
            "path",
            "description",
            "tags",
            "default_version",
            "next_version",
            "digest",
            "created_at_ms",
            "updated_at_ms",
            "revision",
        ),
    ),
    vouched("iam_policy_version", ("policy_id", "number"), ("policy_id", "number", "document", "created_at_ms")),
    vouched(
        "iam_login", ("user_id",), ("user_id", "hashed", "earlier", "reset_required", "created_at_ms", "changed_at_ms")
    ),
    vouched(
        "iam_instance_profile",
        ("id",),
        ("id", "account_id", "name", "name_key", "path", "tags", "role_id", "created_at_ms"),
    ),
    vouched(
        "iam_provider",
        ("account_id", "issuer"),
        ("account_id", "issuer", "audiences", "thumbprints", "tags", "jwks", "created_at_ms"),
    ),
    Renewal("iam_access_key", ("id",), (MAC, _SEALED), keys.COLUMNS, keys.sealed_anew),
    Renewal("iam_mfa_device", ("serial",), (MAC, _SEALED), devices.NAMES, devices.sealed_anew),
)
"""Accounts first: a machine whose keyring lacks the new root keys finds that out at its start."""
