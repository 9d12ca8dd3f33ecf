"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.renewal import Mark, Renewal
from geumgo.sealing import Sealing
from geumgo.storage import Tx


def _attempt(_tx: Tx, _sealing: Sealing, _row: Mapping[str, Any]) -> None:
    """Who was tried is a keyed hash that nobody can make again without being asked: the count begins anew."""


RENEWALS: Final[tuple[Renewal, ...]] = (Renewal("sign_in_attempt", ("id",), (Mark("id", is_text=True),), (), _attempt),)
