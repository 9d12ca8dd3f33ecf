"""What the room keeps under the root keys, and how it comes under the newest of them."""

from typing import Final

from geumgo.renewal import Renewal, vouched

RENEWALS: Final[tuple[Renewal, ...]] = (vouched("sts_time_line", ("one",), ("one", "number", "began_at_ms")),)
