"""What each operation of CloudTrail asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for AWS CloudTrail", Service Authorization Reference.
"""

from collections.abc import Callable, Mapping
from typing import Final

from geumgo.access.demand import Demand, Demands
from geumgo.context import Context, Params
from geumgo.domain.storable import member_with_nul
from geumgo.errors import ValidationFailed
from geumgo.room import Access

Declare = Callable[[Context, Params], Demands]


def without_resource(action: str) -> Declare:
    """The demand of an operation that knows no resources."""

    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"cloudtrail:{action}"),)

    return demands


def _readable(declare: Declare) -> Declare:
    """Texts that cannot be kept are refused before anything is looked up. Unverified: what AWS says to this."""

    def demands(ctx: Context, params: Params) -> Demands:
        member = member_with_nul(params)
        if member is not None:
            raise ValidationFailed(f"The parameter {member} must not contain the character NUL.")
        return declare(ctx, params)

    return demands


# -- the table --------------------------------------------------------------------------------------------------------

_LOOKED_AT_BY_ITSELF: Final = frozenset({"LookupAttributes", "MaxResults", "EventCategory"})

ACCESS: Final[Mapping[str, Access]] = {
    "LookupEvents": Access(
        _readable(without_resource("LookupEvents")),
        ("LookupAttributes", "StartTime", "EndTime", "EventCategory", "MaxResults"),
        leave=_LOOKED_AT_BY_ITSELF,
    ),
}
