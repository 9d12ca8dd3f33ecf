"""Events that wait for their function."""

import json
from dataclasses import dataclass, field

from geumgo.sealing import Plaintext, Sealing, Unsealable
from geumgo.storage import Tx


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
    try:
        sealing.check("lambda_event", _row(queued, content), mac)
    except Unsealable:
        raise Unsealable("a row of lambda_event was changed from outside") from None
    return queued


def has_failed(tx: Tx, queued: Queued) -> None:
    """One more try has ended with an error of the function."""
    tx.run("UPDATE lambda_event SET tries = tries + 1 WHERE id = :id", id=queued.id)


def remove(tx: Tx, event_id: str) -> None:
    tx.run("DELETE FROM lambda_event WHERE id = :id", id=event_id)
