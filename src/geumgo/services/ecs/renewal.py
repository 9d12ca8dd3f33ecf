"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.renewal import MAC, Mark, Renewal, vouched
from geumgo.sealing import Sealing
from geumgo.services.ecs import store
from geumgo.storage import Tx


def _authority(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    cells = {name: row[name] for name in store.AUTHORITY}
    sealing.check("ecs_authority", cells, row["mac"])
    key = store.seal(sealing, row["arn"], store.unseal(sealing, row["arn"], row["private_key"]))
    return {"private_key": key, "mac": sealing.vouch("ecs_authority", {**cells, "private_key": key})}


RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("ecs_endpoint", ("id",), store.ENDPOINT),
    Renewal("ecs_authority", ("arn",), (MAC, Mark("private_key", store.PURPOSE)), store.AUTHORITY, _authority),
)
