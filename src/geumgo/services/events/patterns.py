"""TestEventPattern: whether a pattern wants an event, asked before a rule depends on it."""

from geumgo.context import Context, Params
from geumgo.domain.event_pattern import InvalidPattern, compile_pattern
from geumgo.room import reads
from geumgo.services.events.domain import InvalidEnvelope, read_event
from geumgo.services.events.errors import InvalidEvent, InvalidEventPattern


@reads
def test_event_pattern(ctx: Context, request: Params) -> Params:  # noqa: ARG001 - the answer depends on nothing that is kept
    """Whether the pattern matches the event. The pattern is judged first: one that is wrong is refused whatever the event is."""
    try:
        pattern = compile_pattern(request["EventPattern"])
    except InvalidPattern as refusal:
        raise InvalidEventPattern(str(refusal)) from None
    try:
        event = read_event(request["Event"])
    except InvalidEnvelope as refusal:
        raise InvalidEvent(str(refusal)) from None
    return {"Result": pattern.matches(event)}
