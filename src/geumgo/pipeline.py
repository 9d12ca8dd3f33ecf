"""The life of a request on one page: who asks? known? allowed? run, keep, note, answer.

`Pipeline.handle_batch` is the only door. It answers nothing before the trail has the record of it on disk.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import structlog

from geumgo import errors, protocol
from geumgo.access import authorization_message, signature
from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.gate import Gate, Refusal, through
from geumgo.access.ports import Key, Keyring
from geumgo.audit import record as trail_record
from geumgo.audit.form import Forms
from geumgo.audit.store import add_applied
from geumgo.audit.trail import Kind, TrailBroken, TrailFull
from geumgo.context import (
    NOBODY,
    Archive,
    Caller,
    Clock,
    Context,
    Later,
    NoArchive,
    NobodyListens,
    NobodyWatches,
    NoSessions,
    Outside,
    Params,
    Place,
    Proven,
    Publisher,
    Sessions,
    Watcher,
)
from geumgo.errors import ServiceError
from geumgo.functions import Functions, NoFunctions
from geumgo.message import Answer, Fetched, Request, Surplus
from geumgo.principals import Principals
from geumgo.repeats import Meaning, Repeats
from geumgo.room import Operation, Room
from geumgo.sealing import Sealing
from geumgo.sealing.keyed import Mac, keyed
from geumgo.sealing.random import uuid
from geumgo.storage import Broken, Conflict, Full, Storage, StorageError, Tx, Unknown
from geumgo.storage.derived import Derived

log = structlog.get_logger("geumgo.pipeline")

CONFLICT_ATTEMPTS = 12  # tries of one writing transaction that others overtake, before the caller is asked to slow down
ALONE_AFTER = 4  # tries after which it waits for its turn, so that nobody can overtake it
IDS_TOGETHER = 1_000  # refusals of surplus requests that share a record
RECORDS_BEHIND = 100  # records that travel inside one intent; more of them get an intent of their own
GLOBAL_SERVICES = frozenset({"iam", "sts"})  # signed for us-east-1 by clients of any region
GLOBAL_REGION = "us-east-1"
ROLE_SECONDS = 900  # a role that a service takes for a request of its own; the shortest that STS gives
NO_SPACE = "There is no space left on the disk of this server. Try again later; deletions may be served before."
NOT_FOR_THE_WIRE = Answer(200, (), b"")


Found = TypeVar("Found")
Count = Callable[[str, str, str, Caller], None]
"""(service, operation, error code or "", who asked) of every answer, for the metrics."""


class Notes(Protocol):
    """What a pipeline needs of the trail. See `audit.trail.Trail`."""

    def note(self, kind: Kind, record: Mapping[str, Any] | bytes) -> str: ...
    def settle(self) -> None: ...
    def abandon(self) -> None: ...
    @property
    def scarce(self) -> bool: ...
    def give_up_reserve(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is made of. One per process."""

    rooms: Mapping[str, Room]
    models: Mapping[str, protocol.ServiceModel]
    storage: Storage
    gate: Gate
    keyring: Keyring
    principals: Principals
    sealing: Sealing
    trail: Notes
    clock: Clock
    regions: frozenset[str]
    partition: str
    limits: protocol.Limits
    count: Count
    most_derived: int = 20_000  # see Settings.derived_entries
    honour_child_denies: bool = True  # see Settings.honour_child_denies
    sessions: Sessions = field(default_factory=NoSessions)
    publisher: Publisher = field(default_factory=NobodyListens)
    functions: Functions = field(default_factory=NoFunctions)
    watcher: Watcher = field(default_factory=NobodyWatches)
    archive: Archive = field(default_factory=NoArchive)


class Waits(Exception):
    """The answer lies outside: whatever transaction is open ends, and nothing of it is kept."""

    def __init__(self, later: Later, marks: Sequence[Callable[[Tx], None]]) -> None:
        """`marks` are the dates of use and the like that the call leaves: it is permitted, whatever is fetched."""
        super().__init__("the answer lies outside")
        self.later, self.marks = later, marks


@dataclass(slots=True)
class Turn:
    """One request on its way: what is known of it so far, for the trail, and the door to other rooms."""

    request: Request
    parts: Parts
    service: str = ""
    operation: str = ""
    region: str = ""
    caller: Caller = NOBODY
    key: Key | None = None
    claimed_key: str = ""
    recorded: Params = field(default_factory=dict)
    answered: Params = field(default_factory=dict)
    touches: Sequence[Target] = ()
    proven: Proven | None = None
    prepared: Any = None
    inner: list[Params | bytes] = field(default_factory=list)
    read_only: bool = True
    conditions: Mapping[str, tuple[str, ...]] | None = None  # None: what the request itself says
    aside: list[Params] | None = None  # where an answer goes that is not for the wire
    kept: Answer | None = None  # of a write that is committed: its intent is on the disk, so the answer may leave


class Pipeline:
    """Requests in, answers out. Synchronous; one per process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._signing_names = frozenset(model.signing_name for model in parts.models.values())
        self._derived = Derived(parts.storage, most=parts.most_derived)
        self._forms = Forms(parts.most_derived)
        self._repeats = Repeats(parts.most_derived)
        self._global_regions = parts.regions | {GLOBAL_REGION}

    def handle_batch(self, requests: Sequence[Request | Fetched | Surplus]) -> list[Answer]:
        """The answers to `requests`, in order, after one sync of the trail has made the records of all of them durable.

        An answer with `fetch` is none yet: its record comes with what was fetched.

        Raises TrailBroken or storage.Broken when this process must not acknowledge anything more.
        """
        turns = [self._turn(each) for each in requests]
        self._derived.look()  # after all of them have arrived: whatever was acknowledged before is seen
        try:
            answers = [self._answer(turn, each) for turn, each in zip(turns, requests, strict=True)]
            self._note_surplus([each.request for each in requests if isinstance(each, Surplus)])
            self._parts.trail.settle()
        except TrailFull:
            self._parts.trail.abandon()
            log.exception("trail full", next="free space on the disk that holds the audit directory")
            return [turn.kept or self._unrecorded(turn) for turn in turns]
        return answers

    def _turn(self, each: Request | Fetched | Surplus) -> Turn:
        if isinstance(each, Fetched):
            turn: Turn = each.waits[0]
            return turn
        return Turn(each.request if isinstance(each, Surplus) else each, self._parts)

    def _answer(self, turn: Turn, each: Request | Fetched | Surplus) -> Answer:
        if isinstance(each, Request):
            return self._handle(turn)
        return self._resume(turn, each) if isinstance(each, Fetched) else self._turned_away(turn)

    def _unrecorded(self, turn: Turn) -> Answer:
        """The answer to a request whose record cannot be kept."""
        unavailable = errors.ServiceUnavailable(NO_SPACE)
        return protocol.encode_error(protocol.route.family(turn.request), unavailable, turn.request.id)

    def _handle(self, turn: Turn) -> Answer:
        request = turn.request
        self._derived.begin()
        call: protocol.Call | None = None
        try:
            self._identify(turn)
            words = self._repeats.words(request, turn.service)
            known = self._repeats.find(words)
            call = self._route(turn) if known is None else known.call
            operation = self._admit(turn, call)
            if known is None:
                params = self._read(turn, call, operation)
                if words is not None and operation.access.repeats:
                    self._repeats.keep(words, Meaning(call, params, turn.recorded))
            else:
                params, turn.recorded = known.params, known.recorded
            encoded = self._run(turn, operation, call, params)
        except (TrailBroken, Broken):
            raise
        except Waits as waits:
            assert call is not None, "an operation that waits was found first"
            self._leave_marks(turn, waits.marks)
            return Answer(202, (), b"", fetching((turn, call), waits.later))
        except Exception as fault:  # noqa: BLE001  the one place where a fault of ours becomes an answer
            return self._refused(turn, call or protocol.route.family(request), fault)
        self._parts.count(turn.service, turn.operation, "", turn.caller)
        return encoded

    def _refused(self, turn: Turn, form: protocol.Call | protocol.Family, fault: Exception) -> Answer:
        if self._parts.trail.scarce and not isinstance(
            fault, Full
        ):  # what was held back is for deletions, not for refusals
            self._refusal(turn, fault)
            self._parts.count(turn.service, turn.operation, "ServiceUnavailable", turn.caller)
            return self._unrecorded(turn)
        refusal = self._refusal(turn, fault)
        self._note_refusal(turn, refusal)
        self._parts.count(turn.service, turn.operation, refusal.code, turn.caller)
        return self._told(turn, refusal, protocol.encode_error(form, refusal, turn.request.id))

    def _turned_away(self, turn: Turn) -> Answer:
        """The refusal of a surplus request. Nothing of it is looked at but what protocol it speaks; see `_note_surplus` for its record."""
        if self._parts.trail.scarce:
            return self._unrecorded(turn)
        return protocol.encode_error(
            protocol.route.family(turn.request), errors.Throttled("Rate exceeded"), turn.request.id
        )

    def _note_surplus(self, refused: Sequence[Request]) -> None:
        """Surplus requests of one batch that came from one address with one access key id share a record, which has all their ids."""
        if not refused or self._parts.trail.scarce:
            return
        alike: dict[tuple[str, str], list[Request]] = {}
        for request in refused:
            alike.setdefault((request.peer, signature.claimed_key(request)), []).append(request)
        for (_, claimed), requests in alike.items():
            for start in range(0, len(requests), IDS_TOGETHER):
                some = requests[start : start + IDS_TOGETHER]
                record = self._api_call(
                    Turn(some[0], self._parts, claimed_key=claimed), errors.Throttled("Rate exceeded")
                )
                if len(some) > 1:
                    record["additionalEventData"] = {"requestIDs": [each.id for each in some]}
                self._parts.trail.note("call", record)

    def _resume(self, turn: Turn, fetched: Fetched) -> Answer:
        """The answer to a request that waited for the outside, and its record."""
        call: protocol.Call = fetched.waits[1]
        if fetched.fault is not None:
            return self._refused(turn, call, fetched.fault)
        assert fetched.found is not None, "what was fetched is an answer or a fault"
        try:
            encoded = self._said(turn, call, fetched.found)
        except Exception as fault:  # noqa: BLE001  the other place where a fault of ours becomes an answer
            return self._refused(turn, call, fault)
        self._note_call(turn)
        self._parts.count(turn.service, turn.operation, "", turn.caller)
        return encoded

    def _told(self, turn: Turn, refusal: ServiceError, answer: Answer) -> Answer:
        """The answer to a refusal. A denial by policy has a message with it, which only an administrator of the account can read."""
        if not isinstance(refusal, Refusal) or turn.caller.kind == "Anonymous":
            return answer
        message = authorization_message.sealed(self._parts.sealing, refusal.denied, self._parts.clock.now_ms())
        return replace(answer, headers=(*answer.headers, (authorization_message.HEADER, message)))

    # -- who asks -----------------------------------------------------------------------------------------------------

    def _identify(self, turn: Turn) -> None:
        """The signature holds, and `turn.caller` is who made it. A request without any signature comes from NOBODY."""
        parts, request = self._parts, turn.request
        if request.oversized:
            raise errors.TooLarge(f"The request body is larger than {parts.limits.size} bytes.")
        claim = signature.read_claim(request)
        if claim is None:
            return
        turn.claimed_key, turn.region = claim.access_key_id, claim.region
        now_ms = parts.clock.now_ms()
        key = self._look(lambda tx: self._verified(tx, request, claim, now_ms))
        turn.key, turn.caller = key, key.caller
        turn.service = claim.service

    def _verified(self, tx: Tx, request: Request, claim: signature.Claim, now_ms: int) -> Key:
        """The key that has signed `request`."""
        key = self._parts.keyring.find(tx, claim.access_key_id, claim.session_token, now_ms)

        def signing_key(date: str, region: str, service: str) -> Mac:
            if key is None:
                return signature.nobodys_key(date, region, service)
            scope = ("signing key", claim.access_key_id, claim.session_token, date, region, service)
            made = tx.derived(scope, lambda: keyed(signature.signing_key(key.secret, date, region, service)))
            assert made is not None, "there is a signing key for every scope"
            return made

        signature.verify_with(
            request,
            claim,
            signing_key,
            known=key is not None,
            regions=self._regions_for(claim.service),
            services=self._signing_names,
            now_ms=now_ms,
        )
        assert key is not None, "verify let an unknown key pass"
        return key

    def _look(self, look: Callable[[Tx], Found]) -> Found:
        """What `look` finds in a reading transaction.

        It begins with what is kept. If somebody has committed since, and `look` needs a row after all, it is called once more, in a
        snapshot from its beginning.
        """
        try:
            with self._derived.reading() as tx:
                return look(tx)
        except Conflict:
            with self._parts.storage.reading() as tx:
                return look(tx)

    def _regions_for(self, signing_name: str) -> frozenset[str]:
        return self._global_regions if signing_name in GLOBAL_SERVICES else self._parts.regions

    # -- what is asked ------------------------------------------------------------------------------------------------

    def _route(self, turn: Turn) -> protocol.Call:
        signing_name = turn.service or None
        if signing_name is None and turn.request.method in ("GET", "HEAD") and turn.request.target == b"/":
            raise errors.NothingThere
        return protocol.route.find(self._parts.models, turn.request, signing_name, self._parts.limits)

    def _admit(self, turn: Turn, call: protocol.Call) -> Operation:
        """The operation that is called, if it is served to such a caller at such a time."""
        turn.service, turn.operation = call.service.name, call.operation.name
        operation = self._operation(turn.service, turn.operation)
        turn.read_only = not operation.writes
        if self._parts.trail.scarce and not operation.takes_away:
            raise TrailFull("what space is left is for what takes away")
        if turn.caller.kind == "Anonymous" and not operation.access.unsigned:
            raise errors.MissingToken("Missing Authentication Token")
        turn.region = turn.region or min(self._parts.regions)
        return operation

    def _operation(self, service: str, name: str) -> Operation:
        operation = self._parts.rooms[service].operations.get(name)
        if operation is None:
            raise errors.UnknownOperation(f"{name} is not served here.")
        return operation

    def _read(self, turn: Turn, call: protocol.Call, operation: Operation) -> Params:
        params = protocol.decode(call, turn.request, self._parts.limits)
        access = operation.access
        turn.recorded = {name: params[name] for name in access.recorded if name in params}
        protocol.validate(call.operation, params, leave=access.leave)
        access.check(params)
        return params

    # -- run, keep, note ----------------------------------------------------------------------------------------------

    def _run(self, turn: Turn, operation: Operation, call: protocol.Call, params: Params) -> Answer:
        """The answer as it goes over the wire: what cannot be said is found out while it can still be undone."""
        self._prepare(turn, operation, params)
        if operation.writes:
            return self._write(turn, operation, call, params)

        def read(tx: Tx) -> tuple[Context, Answer]:
            turn.inner.clear()
            ctx = self._context(turn, tx, reads_only=True)
            return ctx, self._perform_and_encode(turn, ctx, operation, call, params)

        ctx, encoded = self._look(read)
        self._leave_marks(turn, ctx.afterwards)
        self._note_call(turn)
        return encoded

    def _prepare(self, turn: Turn, operation: Operation, params: Params) -> None:
        """What the operation does before its transaction is done."""
        parts, before = self._parts, operation.access.before
        if before is None:
            return
        place = Place(turn.caller.account, turn.region, parts.partition)
        outside = Outside(
            parts.storage.reading,
            self._derived.writing,
            place,
            turn.request.peer,
            parts.clock,
            parts.sealing,
            parts.principals,
        )
        try:
            turn.prepared = before(outside, params)
        finally:
            turn.proven = outside.proven

    def _write(self, turn: Turn, operation: Operation, call: protocol.Call, params: Params) -> Answer:
        """One transaction, tried again while others overtake it. Its intent is on disk before it commits, its outcome after."""
        parts = self._parts
        for attempt in range(CONFLICT_ATTEMPTS):
            intents: list[str] = []
            turn.inner.clear()
            try:
                with self._derived.writing(alone=attempt >= ALONE_AFTER) as tx:
                    ctx = self._context(turn, tx, reads_only=False)
                    encoded = self._perform_and_encode(turn, ctx, operation, call, params)
                    for place, event in ctx.published:
                        parts.publisher.publish(tx, place, event, parts.clock.now_ms())
                    for record in self._announced(turn, ctx):
                        intents.append(parts.trail.note("intent", record))
                        add_applied(tx, intents[-1], parts.clock.now_ms())
                    parts.trail.settle()
            except Exception as fault:
                self._note_failed(intents, fault)
                if isinstance(fault, Full) and self._gives_way(operation):
                    continue
                if isinstance(fault, Conflict):
                    continue
                raise
            turn.kept = encoded
            turn.inner.clear()
            for intent in intents:
                parts.trail.note("outcome", {"intent": intent, "committed": True})
            self._leave_marks(turn, ctx.afterwards)
            return encoded
        raise errors.Throttled("Rate exceeded")

    def _gives_way(self, operation: Operation) -> bool:
        """Whether `operation`, which found the database full, may be tried again in the space that was held back."""
        trail = self._parts.trail
        first = not trail.scarce
        trail.give_up_reserve()
        return first and operation.takes_away

    def _perform_and_encode(
        self, turn: Turn, ctx: Context, operation: Operation, call: protocol.Call, params: Params
    ) -> Answer:
        return self._said(turn, call, self._perform(turn, ctx, operation, params))

    def _said(self, turn: Turn, call: protocol.Call, answer: Params) -> Answer:
        """`answer` as it goes over the wire; the trail may keep what it may keep of it."""
        operation = self._operation(turn.service, turn.operation)
        turn.answered = {name: answer[name] for name in operation.access.answered if name in answer}
        if turn.aside is not None:
            turn.aside.append(answer)
            return NOT_FOR_THE_WIRE
        return protocol.encode(call, answer, turn.request.id)

    def _perform(self, turn: Turn, ctx: Context, operation: Operation, params: Params) -> Params:
        try:
            demands = operation.access.demands(ctx, params)
            turn.touches = [demand.target for demand in demands if demand.target is not None]
            self._parts.gate.check(ctx, demands)
            answer = operation.handler(ctx, params)
            if isinstance(answer, Later):
                raise Waits(answer, ctx.afterwards)
            answered = dict(answer)
            if operation.writes:
                self._parts.watcher.changed(ctx, turn.service, turn.operation, params, answered)
            return answered
        finally:
            turn.proven = ctx.proven

    def _context(self, turn: Turn, tx: Any, *, reads_only: bool) -> Context:
        parts = self._parts
        return Context(
            tx=tx,
            place=Place(turn.caller.account, turn.region, parts.partition),
            caller=turn.caller,
            clock=parts.clock,
            sealing=parts.sealing,
            request_id=turn.request.id,
            gateway=InnerDoor(self, turn, turn.service),
            conditions=conditions_of(turn.request, turn.region, parts.clock.now_ms())
            if turn.conditions is None
            else turn.conditions,
            reads_only=reads_only,
            regions=parts.regions,
            principals=parts.principals,
            sessions=parts.sessions,
            functions=parts.functions,
            archive=parts.archive,
            proven=turn.proven,
            prepared=turn.prepared,
        )

    def ask(self, turn: Turn, ctx: Context, asking: str, service: str, name: str, params: Params) -> Params:
        """`asking` (a service) asks `service` on behalf of the caller: same transaction, same gate, a record of its own."""
        caller = ctx.caller if service == asking else _through(ctx, host_of(asking))
        return self._inner(turn, ctx, caller, within(ctx, asking, service), service, name, params)

    def act(
        self, turn: Turn, ctx: Context, asking: str, service: str, name: str, source_arn: str, params: Params
    ) -> Params:
        """`asking` (a service) asks `service` for itself: same transaction, same gate, a record of its own."""
        conditions = {**within(ctx, asking, service), **source_of(ctx.place, source_arn)}
        return self._inner(turn, ctx, itself(asking, ctx.place), conditions, service, name, params)

    def _inner(
        self,
        turn: Turn,
        ctx: Context,
        caller: Caller,
        conditions: Mapping[str, tuple[str, ...]],
        service: str,
        name: str,
        params: Params,
    ) -> Params:
        operation = self._operation(service, name)
        assert not (operation.writes and ctx.reads_only), f"{service}:{name} was asked to write inside a read"
        inner = Context(
            tx=ctx.tx,
            place=ctx.place,
            caller=caller,
            clock=ctx.clock,
            sealing=ctx.sealing,
            request_id=ctx.request_id,
            gateway=InnerDoor(self, turn, service),
            conditions=conditions,
            reads_only=ctx.reads_only,
            regions=ctx.regions,
            principals=ctx.principals,
            afterwards=ctx.afterwards,
            events=ctx.events,
            published=ctx.published,
            archive=ctx.archive,
        )
        access = operation.access
        recorded = {key: params[key] for key in access.recorded if key in params}
        step = Turn(
            turn.request,
            self._parts,
            service,
            name,
            turn.region,
            caller,
            claimed_key=turn.claimed_key,
            recorded=recorded,
            read_only=not operation.writes,
        )
        try:
            access.check(params)
            answer = self._perform(step, inner, operation, params)
        except Waits:
            raise AssertionError(
                f"{service}:{name} waits for the outside: it cannot be asked in a transaction"
            ) from None
        except ServiceError as refusal:
            turn.inner.append(self._api_call(step, refusal))
            raise
        step.answered = {key: answer[key] for key in access.answered if key in answer}
        turn.inner.append(self._answered_call(step) if turn.read_only else self._api_call(step))
        return answer

    def _leave_marks(self, turn: Turn, marks: Sequence[Callable[[Tx], None]]) -> None:
        """Dates of use and the like. A read is not refused because its mark could not be left; the log says so."""
        now_ms = self._parts.clock.now_ms()
        key_is_due = turn.key is not None and turn.key.mark_is_due(now_ms)
        if not marks and not key_is_due:
            return
        try:
            with self._derived.writing() as tx:
                if key_is_due:
                    self._parts.keyring.mark_used(tx, turn.claimed_key, turn.service, turn.region, now_ms)
                for write in marks:
                    write(tx)
            self._derived.forget_touched()
        except Broken:
            raise
        except StorageError as fault:
            log.warning(
                "date of use not kept", service=turn.service, operation=turn.operation, fault=type(fault).__name__
            )
        except Exception:  # a fault of ours, and no reason to take back what was done
            log.exception("fault", service=turn.service, operation=turn.operation)

    # -- a service for itself ------------------------------------------------------------------------------------------

    def act_alone(
        self, place: Place, asking: str, service: str, name: str, params: Params, *, source_arn: str, role_arn: str
    ) -> Params:
        """`asking` (a service) asks `service` for itself, or as a role that trusts it, in a request of its own. For jobs.

        The answer comes after the record of it is on disk. Raises the refusals of `service`.
        """
        caller = self._standing_in(place, asking, source_arn=source_arn, role_arn=role_arn)
        return self._alone(caller, place, asking, service, name, params, source_arn)

    def allow_alone(self, place: Place, asking: str, demands: Demands, *, source_arn: str, role_arn: str) -> None:
        """Nothing, if `asking` (a service), or the role that trusts it, is allowed all of `demands` for what it does itself. For jobs.

        Raises AccessDenied, and the refusals of AssumeRole.
        """
        caller = self._standing_in(place, asking, source_arn=source_arn, role_arn=role_arn)
        turn = self._turn_alone(caller, place, asking, "", "", source_arn)
        self._derived.look()
        self._look(lambda tx: self._parts.gate.check(self._context(turn, tx, reads_only=True), demands))

    def _standing_in(self, place: Place, asking: str, *, source_arn: str, role_arn: str) -> Caller:
        """The service `asking` itself, or a session of the role that it assumes."""
        caller = itself(asking, place)
        if not role_arn:
            return caller
        session = {"RoleArn": role_arn, "RoleSessionName": asking, "DurationSeconds": ROLE_SECONDS}
        made = self._alone(caller, place, asking, "sts", "AssumeRole", session, source_arn)["Credentials"]
        now_ms = self._parts.clock.now_ms()
        key = self._look(lambda tx: self._parts.keyring.find(tx, made["AccessKeyId"], made["SessionToken"], now_ms))
        assert key is not None, "a session that was just made is known"
        return key.caller

    def _turn_alone(self, caller: Caller, place: Place, asking: str, service: str, name: str, source_arn: str) -> Turn:
        """A request of its own that nobody sent."""
        parts, host = self._parts, host_of(asking).encode()
        request = Request(
            "POST", b"/", ((b"user-agent", host),), b"", host.decode(), True, uuid(), parts.clock.now_ms()
        )
        turn = Turn(request, parts, service, name, place.region, caller)
        says = conditions_of(request, place.region, parts.clock.now_ms())
        del says["aws:SourceIp"]  # a service has no address
        turn.conditions = {**says, **source_of(place, source_arn)}
        return turn

    def _alone(
        self, caller: Caller, place: Place, asking: str, service: str, name: str, params: Params, source_arn: str
    ) -> Params:
        parts = self._parts
        model = parts.models[service]
        call = protocol.Call(model, model.operations[name], model.protocols[0])
        turn = self._turn_alone(caller, place, asking, service, name, source_arn)
        said: list[Params] = []
        turn.aside = said
        operation = self._operation(service, name)
        turn.read_only = not operation.writes
        turn.recorded = {each: params[each] for each in operation.access.recorded if each in params}
        self._derived.look()
        try:
            protocol.validate(call.operation, params, leave=operation.access.leave)
            operation.access.check(params)
            self._run(turn, operation, call, params)
        except Waits as waits:
            self._leave_marks(turn, waits.marks)
            self._alone_outside(turn, call, waits.later)
        except ServiceError as refusal:
            self._note_refusal(turn, refusal)
            parts.trail.settle()
            raise
        parts.trail.settle()
        return said[-1]

    def _alone_outside(self, turn: Turn, call: protocol.Call, later: Later) -> None:
        """What lies outside is fetched and noted. Raises ServiceError, which is on the disk."""
        try:
            self._said(turn, call, later.fetch())
        except ServiceError as refusal:
            self._note_refusal(turn, refusal)
            self._parts.trail.settle()
            raise
        self._note_call(turn)

    # -- the trail ----------------------------------------------------------------------------------------------------

    def _note_call(self, turn: Turn) -> None:
        """A call that was answered, behind what it asked of other rooms."""
        self._note_inner(turn)
        self._parts.trail.note("call", self._answered_call(turn))

    def _note_inner(self, turn: Turn) -> None:
        """What other rooms were asked for is noted, once."""
        while turn.inner:
            self._parts.trail.note("call", turn.inner.pop(0))

    def _announced(self, turn: Turn, ctx: Context) -> Iterator[Params]:
        """The intents of a write: its own record, what it asked of other rooms, what it set off. All are real exactly if it commits."""
        asked = [each for each in turn.inner if not isinstance(each, bytes)]
        assert len(asked) == len(turn.inner), "what a write asks for is noted with its intent"
        behind = [*asked, *self._events(turn, ctx)]
        yield {**self._api_call(turn), "serviceEvents": behind[:RECORDS_BEHIND]}
        for start in range(RECORDS_BEHIND, len(behind), RECORDS_BEHIND + 1):
            yield {**behind[start], "serviceEvents": behind[start + 1 : start + 1 + RECORDS_BEHIND]}

    def _note_failed(self, intents: Sequence[str], fault: Exception) -> None:
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

    def _note_refusal(self, turn: Turn, refusal: ServiceError) -> None:
        self._note_inner(turn)
        turn.answered = {}
        self._parts.trail.note("call", self._api_call(turn, refusal))

    def _answered_call(self, turn: Turn) -> Params | bytes:
        """The record of a call that was answered, encoded if it has a form."""
        if turn.proven is not None:
            return self._api_call(turn)
        request = turn.request
        encoded = self._forms.encoded(
            caller=turn.caller,
            claimed_key=turn.claimed_key,
            service=host_of(turn.service),
            name=turn.operation,
            region=turn.region,
            source_ip=request.peer,
            user_agent=request.header(b"user-agent") or b"",
            request_parameters=turn.recorded,
            response_elements=turn.answered,
            request_id=request.id,
            at_ms=self._parts.clock.now_ms(),
            read_only=turn.read_only,
            recipient=self._recipient(turn),
            touched=_touched(turn, permitted=True),
            resource_type=self._parts.rooms[turn.service].resource_type,
        )
        return self._api_call(turn) if encoded is None else encoded

    def _api_call(self, turn: Turn, refusal: ServiceError | None = None) -> Params:
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

    def _refusal(self, turn: Turn, fault: Exception) -> ServiceError:
        """What the caller may see of `fault`. What he may not is in the log, under the request id."""
        if isinstance(fault, ServiceError):
            return fault
        if isinstance(fault, TrailFull):
            return errors.ServiceUnavailable(NO_SPACE)
        if isinstance(fault, StorageError):
            log.error(
                "storage",
                request_id=turn.request.id,
                operation=turn.operation,
                fault=type(fault).__name__,
                detail=str(fault),
            )
            return errors.ServiceUnavailable(
                "The request could not be kept. Nothing was changed unless a retry says otherwise."
            )
        log.error("fault", request_id=turn.request.id, service=turn.service, operation=turn.operation, exc_info=fault)
        return errors.InternalFailure("An error occurred on the server side.")


@dataclass(slots=True)
class InnerDoor:
    """How a room reaches another one: `context.Gateway` for one request."""

    pipeline: Pipeline
    turn: Turn
    service: str

    def call(self, ctx: Context, service: str, operation: str, params: Params) -> Params:
        return self.pipeline.ask(self.turn, ctx, self.service, service, operation, params)

    def act(self, ctx: Context, service: str, operation: str, source_arn: str, params: Params) -> Params:
        return self.pipeline.act(self.turn, ctx, self.service, service, operation, source_arn, params)

    def forbids(self, ctx: Context, demand: Demand) -> bool:
        parts = self.turn.parts
        return parts.honour_child_denies and parts.gate.forbids(ctx, demand)


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


def fetching(waits: tuple[Turn, protocol.Call], later: Later) -> Callable[[], Fetched]:
    """`later.fetch` as something that never raises: a fault travels back to the request that waits."""

    def fetch() -> Fetched:
        try:
            return Fetched(waits, found=later.fetch())
        except Exception as fault:  # noqa: BLE001  the pipeline turns it into an answer
            return Fetched(waits, fault=fault)

    return fetch


def itself(service: str, place: Place) -> Caller:
    """A service that asks for itself, in an account. Source: service principals, IAM User Guide."""
    return Caller(kind="AWSService", account=place.account, arn="", unique_id="", name=host_of(service))


def source_of(place: Place, source_arn: str) -> dict[str, tuple[str, ...]]:
    """On whose account a service asks. Source: aws:SourceAccount, aws:SourceArn; IAM User Guide ("confused deputy")."""
    keys: dict[str, tuple[str, ...]] = {"aws:SourceAccount": (place.account,)}
    if source_arn:
        keys["aws:SourceArn"] = (source_arn,)
    return keys


def _through(ctx: Context, host: str) -> Caller:
    """The caller behind a service. The same object while nobody writes, so that what was permitted to it is known."""
    outside = ctx.caller
    kept = ctx.tx.derived(("through", id(outside), host), lambda: (outside, through(outside, host)))
    return kept[1] if kept is not None and kept[0] is outside else through(outside, host)


def within(ctx: Context, asking: str, service: str) -> Mapping[str, tuple[str, ...]]:
    """The conditions of a call that `asking` makes to `service`: kms:ViaService names the service that asks, and where."""
    if service != "kms" or asking == service:
        return ctx.conditions
    return {**ctx.conditions, "kms:ViaService": (f"{asking}.{ctx.place.region}.amazonaws.com",)}


def host_of(service: str) -> str:
    """How AWS names a service in policies and in the trail."""
    return f"{service}.amazonaws.com"


def conditions_of(request: Request, region: str, now_ms: int) -> dict[str, tuple[str, ...]]:
    """The global condition keys that the request itself carries.

    Source: "AWS global condition context keys", IAM User Guide. aws:SourceIp is the real peer.
    """
    agent, referer = request.header(b"user-agent"), request.header(b"referer")
    now = (str(now_ms // 1000),)
    said = _said_by(request.peer, request.secure, region, agent, referer)
    return {**said, "aws:EpochTime": now, "aws:CurrentTime": now}


@lru_cache(maxsize=1024)
def _said_by(
    peer: str, secure: bool, region: str, agent: bytes | None, referer: bytes | None
) -> dict[str, tuple[str, ...]]:
    """What the requests of one client have in common. Not to be changed."""
    keys: dict[str, tuple[str, ...]] = {
        "aws:SourceIp": (peer,),
        "aws:SecureTransport": ("true" if secure else "false",),
        "aws:RequestedRegion": (region,),
    }
    for key, value in (("aws:UserAgent", agent), ("aws:Referer", referer)):
        if value is not None:
            keys[key] = (value.decode("utf-8", "replace"),)
    return keys
