"""What the room keeps under the root keys, and how it comes under the newest of them."""

from typing import Final

from geumgo.renewal import Renewal, vouched
from geumgo.services.config import store, store_packs, store_remediation

RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("config_recorder", ("account", "region"), store.RECORDER),
    vouched("config_rule", ("id",), store.RULE),
    vouched("config_remediation", ("rule_id",), store_remediation.COLUMNS),
    vouched("config_pack", ("id",), store_packs.COLUMNS),
)
