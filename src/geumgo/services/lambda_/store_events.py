"""Events that wait for their function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from geumgo.sealing import Plaintext, Sealing
from geumgo.storage import Tx

COLUMNS: Final = ("id", "function_id", "qualifier", "content", "asked_at_ms")


@dataclass(frozen=True, slots=True)
class Queued:
    """An event, and how often its function has failed with it. `event` is JSON."""

    id: str
    function_id: str
    qualifier: str
    asked_at_ms: int
    event: bytes = field(repr=False)
    client_context: str = field(repr=False)
    tries: int = 0


def _row(queued: Queued, content: bytes) -> dict[str, str | int | bytes | None]:
    return {
        "id": queued.id,
        "function_id": queued.function_id,
        "qualifier": queued.qualifier,
        "content": content,
        "asked_at_ms": queued.asked_at_ms,
    }


def _bound_to(event_id: str, function_id: str) -> dict[str, str]:
    return {"label": "lambda event", "event": event_id, "function": function_id}


def add(tx: Tx, sealing: Sealing, queued: Queued) -> None:
    text = json.dumps([queued.event.decode(), queued.client_context]).encode()
    row = _row(queued, sealing.wrap("lambda", _bound_to(queued.id, queued.function_id), Plaintext(text)))
    tx.run(
        """
        INSERT INTO lambda_event (id, function_id, qualifier, content, asked_at_ms, tries, mac)
        VALUES (:id, :function_id, :qualifier, :content, :asked_at_ms, 0, :mac)
        """,
        **row,
        mac=sealing.vouch("lambda_event", row),
    )


def find(tx: Tx, sealing: Sealing, event_id: str) -> Queued | None:
    """Raises Unsealable if it is not what was kept."""
    row = tx.one(
        "SELECT function_id, qualifier, content, asked_at_ms, tries, mac FROM lambda_event WHERE id = :id", id=event_id
    )
    if row is None:
        return None
    function_id, qualifier, content, asked_at_ms, tries, mac = row
    event, client_context = json.loads(sealing.unwrap("lambda", _bound_to(event_id, function_id), content).reveal())
    queued = Queued(event_id, function_id, qualifier, asked_at_ms, event.encode(), client_context, tries)
    sealing.check("lambda_event", _row(queued, content), mac)
    return queued


def sealed_anew(sealing: Sealing, row: Mapping[str, Any]) -> dict[str, bytes]:
    """The content of a row under the newest root key, and its MAC. Raises Unsealable."""
    cells = {name: row[name] for name in COLUMNS}
    sealing.check("lambda_event", cells, row["mac"])
    context = _bound_to(row["id"], row["function_id"])
    content = sealing.wrap("lambda", context, sealing.unwrap("lambda", context, row["content"]))
    return {"content": content, "mac": sealing.vouch("lambda_event", {**cells, "content": content})}


def has_failed(tx: Tx, queued: Queued) -> None:
    """One more try has ended with an error of the function."""
    tx.run("UPDATE lambda_event SET tries = tries + 1 WHERE id = :id", id=queued.id)


def remove(tx: Tx, event_id: str) -> None:
    tx.run("DELETE FROM lambda_event WHERE id = :id", id=event_id)


@dataclass(frozen=True, slots=True)
class Patience:
    """How an event is tried, for one qualifier of a function ("" : none). None: as Lambda does by itself."""

    function_id: str
    qualifier: str
    retries: int | None
    age_s: int | None
    changed_at_ms: int


def patience(tx: Tx, function_id: str, qualifier: str) -> Patience | None:
    row = tx.one(
        "SELECT retries, age_s, changed_at_ms FROM lambda_event_config WHERE function_id = :id AND qualifier = :qualifier",
        id=function_id,
        qualifier=qualifier,
    )
    return None if row is None else Patience(function_id, qualifier, *row)


def all_patience(tx: Tx, function_id: str) -> list[Patience]:
    """By qualifier."""
    rows = tx.all(
        "SELECT qualifier, retries, age_s, changed_at_ms FROM lambda_event_config WHERE function_id = :id ORDER BY qualifier",
        id=function_id,
    )
    return [Patience(function_id, *row) for row in rows]


def keep_patience(tx: Tx, kept: Patience) -> None:
    """It is as given, whether it was there or not."""
    tx.run(
        """
        INSERT INTO lambda_event_config (function_id, qualifier, retries, age_s, changed_at_ms)
        VALUES (:function_id, :qualifier, :retries, :age_s, :changed_at_ms)
        ON CONFLICT (function_id, qualifier) DO UPDATE SET
            retries = excluded.retries, age_s = excluded.age_s, changed_at_ms = excluded.changed_at_ms
        """,
        function_id=kept.function_id,
        qualifier=kept.qualifier,
        retries=kept.retries,
        age_s=kept.age_s,
        changed_at_ms=kept.changed_at_ms,
    )


def remove_patience(tx: Tx, function_id: str, qualifier: str) -> None:
    tx.run(
        "DELETE FROM lambda_event_config WHERE function_id = :id AND qualifier = :qualifier",
        id=function_id,
        qualifier=qualifier,
    )
