"""What each operation needs, and what of it the trail may keep: nothing, because people type passwords into any field."""

from geumgo.access.demand import Demands
from geumgo.context import Context, Params
from geumgo.room import Access
from geumgo.services.geumgo.attempts import check_password


def _nothing(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
    """The password is the proof: it was checked before this."""
    return ()


ACCESS = {"CreateConsoleSession": Access(_nothing, before=check_password, unsigned=True)}
