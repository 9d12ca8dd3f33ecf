"""How far those have come who read the trail: what none of them needs any more may be taken away."""

from collections.abc import Sequence

from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.feeder import reader_of
from geumgo.services.cloudtrail.indexer import READER
from geumgo.storage import Tx


def readers(sinks: Sequence[str]) -> list[str]:
    """The names of the index and of each sink that the settings have."""
    return [READER, *map(reader_of, sinks)]


def earliest(tx: Tx, reader: str, chain: str) -> int:
    """The first segment of `chain` that `reader` still reads: where it stands, or where a write stands whose outcome it waits for."""
    position = store.position(tx, reader, chain)
    return min([position.segment, *(segment for segment, _, _ in position.open.values())])
