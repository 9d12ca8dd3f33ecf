"""When a process that answers looks for garbage that points at itself.

Python does it whenever a quarter more objects have lasted than before, and stands still meanwhile: for 100 to 200 ms where thousands of
secrets are kept, in the middle of requests. So the young objects are looked through as ever, and all of them only when nobody asks, or when
that has not come for a long time.
"""

import gc
from collections.abc import Callable
from typing import Final, final

REST_SECONDS: Final = 60.0
"""All objects are looked through this often at most while nobody asks."""
LONGEST_SECONDS: Final = 600.0
"""And this often at least, whoever asks."""
NEVER: Final = 1_000_000_000


@final
class Collector:
    """`at_rest` answers whether nobody has asked anything since it was called last. `now_s`: a clock that only goes forward (seconds)."""

    def __init__(self, at_rest: Callable[[], bool], now_s: float) -> None:
        """From now on Python looks through all objects only when `look` says so."""
        self._at_rest, self._collected_at = at_rest, now_s
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, NEVER)

    def look(self, now_s: float) -> None:
        """All objects are looked through if it is time. Call it often."""
        since = now_s - self._collected_at
        at_rest = self._at_rest()
        if since >= LONGEST_SECONDS or (since >= REST_SECONDS and at_rest):
            gc.collect()
            self._collected_at = now_s
