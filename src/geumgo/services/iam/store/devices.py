"""Virtual MFA devices."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from geumgo.sealing import Plaintext, Sealing
from geumgo.services.iam.records import Device
from geumgo.services.iam.store.principals import dump_tags
from geumgo.storage import Row, Tx

NAMES = ("serial", "account_id", "user_id", "sealed", "tags", "created_at_ms", "enabled_at_ms", "last_step")
_SELECT = (
    "SELECT serial, account_id, user_id, sealed, tags, created_at_ms, enabled_at_ms, last_step, mac FROM iam_mfa_device"
)


def seal_seed(sealing: Sealing, device: Device, seed: Plaintext) -> bytes:
    """The seed of `device`, wrapped and bound to it."""
    return sealing.wrap("iam", _context(device), seed)


def open_seed(sealing: Sealing, device: Device) -> Plaintext:
    """The seed of `device`. Raises Unsealable if it was sealed for another."""
    return sealing.unwrap("iam", _context(device), device.sealed)


def save(tx: Tx, sealing: Sealing, device: Device) -> None:
    """Write a device, new or changed."""
    columns = _columns(device)
    tx.run(
        "INSERT INTO iam_mfa_device (serial, account_id, user_id, sealed, tags, created_at_ms, enabled_at_ms, last_step, mac) "
        "VALUES (:serial, :account_id, :user_id, :sealed, :tags, :created_at_ms, :enabled_at_ms, :last_step, :mac) "
        "ON CONFLICT (serial) DO UPDATE SET user_id = excluded.user_id, tags = excluded.tags, "
        "enabled_at_ms = excluded.enabled_at_ms, last_step = excluded.last_step, mac = excluded.mac",
        **columns,
        mac=sealing.vouch("iam_mfa_device", columns),
    )


def delete(tx: Tx, serial: str) -> None:
    tx.run("DELETE FROM iam_mfa_device WHERE serial = :serial", serial=serial)


def find(tx: Tx, sealing: Sealing, serial: str) -> Device | None:
    row = tx.one(f"{_SELECT} WHERE serial = :serial", serial=serial)
    return _checked(sealing, row) if row is not None else None


def of_user(tx: Tx, sealing: Sealing, user_id: str) -> list[Device]:
    """The devices that are in use by a user."""
    rows = tx.all(f"{_SELECT} WHERE user_id = :user_id ORDER BY serial", user_id=user_id)
    return [_checked(sealing, row) for row in rows]


def of_account(tx: Tx, sealing: Sealing, account: str) -> list[Device]:
    rows = tx.all(f"{_SELECT} WHERE account_id = :account ORDER BY serial", account=account)
    return [_checked(sealing, row) for row in rows]


def sealed_anew(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> dict[str, bytes]:
    """The seed of a row under the newest root key, and its MAC. Raises Unsealable for a row that is not ours."""
    device = _checked(sealing, (*(row[name] for name in NAMES), row["mac"]))
    renewed = replace(device, sealed=seal_seed(sealing, device, open_seed(sealing, device)))
    return {"sealed": renewed.sealed, "mac": sealing.vouch("iam_mfa_device", _columns(renewed))}


def _context(device: Device) -> dict[str, str]:
    return {
        "label": "mfa seed",
        "account": device.account,
        "serial": device.serial,
        "created": str(device.created_at_ms),
    }


def _columns(device: Device) -> dict[str, str | int | bytes | None]:
    return {
        "serial": device.serial,
        "account_id": device.account,
        "user_id": device.user_id,
        "sealed": device.sealed,
        "tags": dump_tags(device.tags),
        "created_at_ms": device.created_at_ms,
        "enabled_at_ms": device.enabled_at_ms,
        "last_step": device.last_step,
    }


def _checked(sealing: Sealing, row: Row) -> Device:
    columns: dict[str, Any] = dict(zip(NAMES, row[:-1], strict=True))
    columns["sealed"] = bytes(columns["sealed"])
    sealing.check("iam_mfa_device", columns, bytes(row[-1]))
    return Device(
        serial=columns["serial"],
        account=columns["account_id"],
        user_id=columns["user_id"],
        sealed=columns["sealed"],
        tags=json.loads(columns["tags"]),
        created_at_ms=columns["created_at_ms"],
        enabled_at_ms=columns["enabled_at_ms"],
        last_step=columns["last_step"],
    )
