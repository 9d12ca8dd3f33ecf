"""What each operation of EventBridge asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for Amazon EventBridge", Service Authorization Reference.
"""

from typing import Final

from geumgo.access.demand import Demand, Demands
from geumgo.context import Context, Params
from geumgo.room import Access


def _test_event_pattern(ctx: Context, params: Params) -> Demands:  # noqa: ARG001 - the action knows no resources
    return (Demand("events:TestEventPattern"),)


ACCESS: Final = {
    "TestEventPattern": Access(
        _test_event_pattern,
        recorded=("EventPattern",),  # the event may hold anything that its sender put there
        answered=("Result",),
    )
}
