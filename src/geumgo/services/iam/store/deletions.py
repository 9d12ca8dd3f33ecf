"""Tasks that deleted service-linked roles, and credential reports: what is kept for being asked about later."""

from geumgo.storage import Tx


def insert(tx: Tx, task_id: str, account: str, role_name: str, now_ms: int) -> None:
    tx.run(
        "INSERT INTO iam_deletion_task (id, account_id, role_name, made_at_ms) VALUES (:id, :account, :role, :now)",
        id=task_id,
        account=account,
        role=role_name,
        now=now_ms,
    )


def exists(tx: Tx, task_id: str, account: str) -> bool:
    row = tx.one(
        "SELECT id FROM iam_deletion_task WHERE id = :id AND account_id = :account", id=task_id, account=account
    )
    return row is not None


def save_report(tx: Tx, account: str, content: bytes, now_ms: int) -> None:
    """The account's credential report (CSV) is `content`, made now."""
    tx.run(
        "INSERT INTO iam_credential_report (account_id, content, made_at_ms) VALUES (:account, :content, :now) "
        "ON CONFLICT (account_id) DO UPDATE SET content = excluded.content, made_at_ms = excluded.made_at_ms",
        account=account,
        content=content,
        now=now_ms,
    )


def report(tx: Tx, account: str) -> tuple[bytes, int] | None:
    """The credential report and when it was made (Unix milliseconds)."""
    row = tx.one("SELECT content, made_at_ms FROM iam_credential_report WHERE account_id = :account", account=account)
    return (bytes(row[0]), int(row[1])) if row is not None else None
