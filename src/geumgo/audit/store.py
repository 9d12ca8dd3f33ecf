"""The trail's only SQL: which intents were committed, and the newest signed head of each chain."""

from collections.abc import Iterable

from geumgo.audit.line import Head
from geumgo.storage import Tx
from geumgo.storage.text import unkept

KEEP_APPLIED_MS = 7 * 86_400_000
"""How long the row of a committed intent is kept (milliseconds). A process that was away for longer cannot resolve its intents."""


def add_applied(tx: Tx, intent_id: str, at_ms: int) -> None:
    """The change that `intent_id` announced is committed exactly if this transaction is.

    Raises Taken if a start has settled meanwhile that it never will be.
    """
    tx.run(
        unkept("INSERT INTO applied_request (intent_id, at_ms, committed) VALUES (:intent_id, :at_ms, 1)"),
        intent_id=intent_id,
        at_ms=at_ms,
    )


def was_applied(tx: Tx, intent_id: str, at_ms: int) -> bool:
    """Whether the change that `intent_id` announced is committed. If not, it never will be once this transaction commits."""
    settled = tx.run(
        "INSERT INTO applied_request (intent_id, at_ms, committed) VALUES (:intent_id, :at_ms, 0) "
        "ON CONFLICT (intent_id) DO NOTHING",
        intent_id=intent_id,
        at_ms=at_ms,
    )
    if settled:
        return False
    row = tx.one("SELECT committed FROM applied_request WHERE intent_id = :intent_id", intent_id=intent_id)
    assert row is not None, "a row that is in the way is there"
    return bool(row[0])


def is_settled(tx: Tx, intent_id: str) -> bool:
    """Whether this database has ever heard of the change that `intent_id` announced: it is committed, or never will be."""
    return tx.one("SELECT 1 FROM applied_request WHERE intent_id = :intent_id", intent_id=intent_id) is not None


def prune_applied(tx: Tx, now_ms: int) -> int:
    """How many rows older than KEEP_APPLIED_MS were taken away."""
    return tx.run(unkept("DELETE FROM applied_request WHERE at_ms < :before_ms"), before_ms=now_ms - KEEP_APPLIED_MS)


def keep_heads(tx: Tx, node: str, heads: Iterable[Head]) -> None:
    """`heads` are what the chains of `node` must hold from now on. A chain's head never goes back."""
    for head in heads:
        tx.run(
            unkept(
                "INSERT INTO audit_head (chain, node, seq, hash, at_ms, signature) "
                "VALUES (:chain, :node, :seq, :hash, :at_ms, :signature) "
                "ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at_ms = excluded.at_ms, "
                "signature = excluded.signature WHERE audit_head.seq < excluded.seq"
            ),
            chain=head.chain,
            node=node,
            seq=head.seq,
            hash=head.hash,
            at_ms=head.at_ms,
            signature=head.signature,
        )


def heads(tx: Tx, node: str) -> list[Head]:
    """The anchors of every chain of `node`, by name."""
    rows = tx.all(
        "SELECT chain, seq, hash, at_ms, signature FROM audit_head WHERE node = :node ORDER BY chain", node=node
    )
    return [
        Head(chain=chain, seq=seq, hash=hash_, at_ms=at_ms, signature=signature)
        for chain, seq, hash_, at_ms, signature in rows
    ]


def nodes(tx: Tx) -> list[str]:
    """Every machine that ever kept a head here."""
    return [str(row[0]) for row in tx.all("SELECT DISTINCT node FROM audit_head ORDER BY node")]


def head(tx: Tx, chain: str) -> Head | None:
    """The anchor of one chain: what its files must hold when it is opened again."""
    row = tx.one("SELECT chain, seq, hash, at_ms, signature FROM audit_head WHERE chain = :chain", chain=chain)
    return Head(chain=row[0], seq=row[1], hash=row[2], at_ms=row[3], signature=row[4]) if row is not None else None
