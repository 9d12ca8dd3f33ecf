"""What the trail is told of a request: the records of calls, of what they asked of other rooms, of refusals, and the intents of writes."""

from collections.abc import Iterator, Sequence
from typing import Final

from geumgo import errors
from geumgo.access import signature
from geumgo.audit import record as trail_record
from geumgo.audit.form import Form, Forms, Said, is_record, put_together
from geumgo.audit.trail import TrailBroken
from geumgo.context import Context, Params
from geumgo.errors import ServiceError
from geumgo.message import Request
from geumgo.storage import Broken, Unknown
from geumgo.turn import Parts, Turn, host_of

RECORDS_BEHIND: Final = 100  # records that travel inside one intent; more of them get an intent of their own
IDS_TOGETHER: Final = 1_000  # refusals of surplus requests that share a record


class Ledger:
    """Keeps the trail of one pipeline. What it notes is durable when the trail has settled."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._forms = Forms(parts.most_derived)

    def note_call(self, turn: Turn) -> None:
        """A call that was answered, behind what it asked of other rooms."""
        self.note_inner(turn)
        self._parts.trail.note("call", self.answered_call(turn))

    def note_inner(self, turn: Turn) -> None:
        """What other rooms were asked for is noted, once."""
        while turn.inner:
            self._parts.trail.note("call", turn.inner.pop(0))

    def announced(self, turn: Turn, ctx: Context) -> Iterator[Params]:
        """The intents of a write: its own record, what it asked of other rooms, what it set off. All are real exactly if it commits."""
        asked = [each for each in turn.inner if not isinstance(each, bytes)]
        assert len(asked) == len(turn.inner), "what a write asks for is noted with its intent"
        behind = [*asked, *self._events(turn, ctx)]
        yield {**self.api_call(turn), "serviceEvents": behind[:RECORDS_BEHIND]}
        for start in range(RECORDS_BEHIND, len(behind), RECORDS_BEHIND + 1):
            yield {**behind[start], "serviceEvents": behind[start + 1 : start + 1 + RECORDS_BEHIND]}

    def note_failed(self, intents: Sequence[str], fault: Exception) -> None:
        """A write that was announced did not commit.

        Only the database knows the outcome of an Unknown one: it is asked later (see audit.recovery), as it is at the next start for
        whatever ends this process.
        """
        if not isinstance(fault, Unknown | Broken | TrailBroken):
            for intent in intents:
                self._parts.trail.note("outcome", {"intent": intent, "committed": False})

    def _events(self, turn: Turn, ctx: Context) -> list[Params]:
        """The service events of a write."""
        return [
            trail_record.service_event(
                service=host_of(turn.service),
                name=name,
                region=turn.region,
                account=turn.caller.account,
                at_ms=self._parts.clock.now_ms(),
                request_id=turn.request.id,
                details=details,
            )
            for name, details in ctx.events
        ]

    def note_refusal(self, turn: Turn, refusal: ServiceError) -> None:
        self.note_inner(turn)
        turn.answered = {}
        self._parts.trail.note("call", self.api_call(turn, refusal))

    def answered_call(self, turn: Turn) -> Params | bytes:
        """The record of a call that was answered, encoded if it has a form."""
        said = self.said(turn) if turn.proven is None else None
        made = (
            None if said is None else put_together(self.form(turn), said, turn.request.id, self._parts.clock.now_ms())
        )
        return made if made is not None and is_record(made) else self.api_call(turn)

    def form(self, turn: Turn) -> Form:
        """What the record of a call that was answered has in common with those of its caller's other calls."""
        request = turn.request
        return self._forms.form(
            turn.caller,
            turn.claimed_key,
            host_of(turn.service),
            turn.operation,
            turn.region,
            request.peer,
            request.header(b"user-agent") or b"",
            self._recipient(turn),
            read_only=turn.read_only,
        )

    def said(self, turn: Turn) -> Said | None:
        """What the record of a call that was answered says of the call itself; None if it has to be encoded as any record is."""
        kind = self._parts.rooms[turn.service].resource_type
        return self._forms.said(turn.recorded, turn.answered, _touched(turn, permitted=True), kind)

    def again(self, turn: Turn, forms: Sequence[Form], says: Sequence[Said]) -> list[bytes]:
        """The records of calls that were recorded like this before, now with the id of this request."""
        at_ms, request_id = self._parts.clock.now_ms(), turn.request.id
        return [put_together(form, said, request_id, at_ms) for form, said in zip(forms, says, strict=True)]

    def api_call(self, turn: Turn, refusal: ServiceError | None = None) -> Params:
        request = turn.request
        agent = request.header(b"user-agent")
        record = trail_record.api_call(
            caller=turn.caller,
            claimed_key=turn.claimed_key,
            service=host_of(turn.service) if turn.service else "",
            name=turn.operation,
            region=turn.region,
            source_ip=request.peer,
            user_agent=agent.decode("utf-8", "replace") if agent is not None else "",
            request_parameters=turn.recorded,
            response_elements=turn.answered,
            error_code=refusal.code if refusal is not None else "",
            error_message=refusal.message if refusal is not None else "",
            request_id=request.id,
            at_ms=self._parts.clock.now_ms(),
            read_only=turn.read_only,
            secure=request.secure,
            resources=self._resources(turn, permitted=refusal is None),
            identity=turn.proven.identity if turn.proven is not None else None,
            recipient=self._recipient(turn),
        )
        shape = turn.proven.shape if turn.proven is not None else None
        return shape(record) if shape is not None else record

    def _recipient(self, turn: Turn) -> str:
        """The account that the record is for, where it is not the caller's: whose thing it is, or who was proven."""
        if turn.proven is not None:
            return turn.proven.account
        for each in turn.touches:
            if each.account != turn.caller.account:
                return each.account
        return ""

    def _resources(self, turn: Turn, *, permitted: bool) -> list[dict[str, str]]:
        """What the call touched, where the service's records name it: things of that service that are there, by ARN.

        Of a call that was refused, only what the refusal itself may name.
        """
        kind = self._parts.rooms[turn.service].resource_type if turn.service in self._parts.rooms else ""
        if not kind:
            return []
        return [trail_record.resource(arn, account, kind) for arn, account in _touched(turn, permitted=permitted)]

    def note_surplus(self, refused: Sequence[Request]) -> None:
        """Surplus requests of one batch that came from one address with one access key id share a record, which has all their ids."""
        if not refused or self._parts.trail.scarce:
            return
        alike: dict[tuple[str, str], list[Request]] = {}
        for request in refused:
            alike.setdefault((request.peer, signature.claimed_key(request)), []).append(request)
        for (_, claimed), requests in alike.items():
            for start in range(0, len(requests), IDS_TOGETHER):
                some = requests[start : start + IDS_TOGETHER]
                record = self.api_call(
                    Turn(some[0], self._parts, claimed_key=claimed), errors.Throttled("Rate exceeded")
                )
                if len(some) > 1:
                    record["additionalEventData"] = {"requestIDs": [each.id for each in some]}
                self._parts.trail.note("call", record)


def _touched(turn: Turn, *, permitted: bool) -> tuple[tuple[str, str], ...]:
    """The things of its service that the call touched: the ARN of each, and the account that owns it. See `Pipeline._resources`."""
    service = [turn.service]
    return tuple(
        [
            (each.arn, each.account)
            for each in turn.touches
            if (permitted or each.shown == each.arn)
            and each.shown is not None
            and each.arn.split(":", 3)[2:3] == service
        ]
    )
