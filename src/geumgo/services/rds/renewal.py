"""What the room keeps under the root keys, and how it comes under the newest of them."""

from typing import Final

from geumgo.renewal import Renewal
from geumgo.services.rds import store

RENEWALS: Final[tuple[Renewal, ...]] = (store.STORE.renewal,)
