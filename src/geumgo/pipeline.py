"""The life of a request on one page: who asks? known? allowed? run, keep, note, answer.

`Pipeline.work` is the only door. Nothing is answered before the trail has the record of it on disk: `settle` waits for that, `launch` and
`land` let a thread wait, so that the next requests are worked on meanwhile.
"""

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import structlog

from geumgo import errors, protocol
from geumgo.access import authorization_message, signature
from geumgo.access.demand import Demand, Demands
from geumgo.access.gate import Refusal
from geumgo.access.ports import Key
from geumgo.audit.store import add_applied
from geumgo.audit.trail import TrailBroken, TrailFull
from geumgo.context import (
    Caller,
    Context,
    Later,
    Mark,
    Outside,
    Params,
    Place,
)
from geumgo.courses import Course, Courses, Permit
from geumgo.errors import ServiceError
from geumgo.ledger import Ledger
from geumgo.message import Answer, Fetched, Request, Surplus
from geumgo.repeats import Meaning, Repeats, Words
from geumgo.room import Operation
from geumgo.sealing.keyed import Mac, keyed
from geumgo.sealing.random import uuid
from geumgo.storage import Broken, Conflict, Full, StorageError, Tx
from geumgo.storage.derived import Derived, Glance
from geumgo.turn import (
    Parts,
    Turn,
    Waits,
    behind_service,
    conditions_of,
    host_of,
    itself,
    source_of,
    within,
)

log = structlog.get_logger("geumgo.pipeline")

CONFLICT_ATTEMPTS = 12  # tries of one writing transaction that others overtake, before the caller is asked to slow down
ALONE_AFTER = 4  # tries after which it waits for its turn, so that nobody can overtake it
GLOBAL_SERVICES = frozenset({"iam", "sts"})  # signed for us-east-1 by clients of any region
GLOBAL_REGION = "us-east-1"
ROLE_SECONDS = 900  # a role that a service takes for a request of its own; the shortest that STS gives
NO_SPACE = "There is no space left on the disk of this server. Try again later; deletions may be served before."
NOBODYS_NAME = f"n{os.urandom(16).hex()}"  # of nothing that is there
NOT_FOR_THE_WIRE = Answer(200, (), b"")


Found = TypeVar("Found")


@dataclass(slots=True)
class Batch:
    """Requests that are worked on together, and what is answered."""

    turns: list[Turn]
    answers: list[Answer] = field(default_factory=list)


class Pipeline:
    """Requests in, answers out. Synchronous; one per process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._signing_names = frozenset(model.signing_name for model in parts.models.values())
        self._derived = Derived(parts.storage, most=parts.most_derived)
        self._ledger = Ledger(parts)
        self._marks: list[Mark] = []  # dates of use that wait for the end of the batch
        self._marked: list[Hashable] = []  # what is kept that they may be in, beside what is kept under their ids
        self._worked: list[Batch] = []  # whose records are not on their way to the disk yet
        self._repeats = Repeats(parts.most_derived // 2)
        self._courses = Courses(self._derived, self._ledger)
        self._global_regions = parts.regions | {GLOBAL_REGION}

    def handle_batch(self, requests: Sequence[Request | Fetched | Surplus]) -> list[Answer]:
        """The answers to `requests`, in order, after one sync of the trail has made the records of all of them durable.

        An answer with `fetch` is none yet: its record comes with what was fetched.

        Raises TrailBroken or storage.Broken when this process must not acknowledge anything more.
        """
        batch = self.work(requests)
        self.settle()
        return batch.answers

    def work(self, requests: Sequence[Request | Fetched | Surplus]) -> Batch:
        """What is done about `requests`. The answers must not leave before `settle`, or what `launch` began has landed.

        Raises as `handle_batch` does.
        """
        batch = Batch([self._turn(each) for each in requests])
        self._derived.look()  # after all of them have arrived: whatever was acknowledged before is seen
        self._worked.append(batch)
        try:
            batch.answers = [self._answer(turn, each) for turn, each in zip(batch.turns, requests, strict=True)]
            self._ledger.note_surplus([each.request for each in requests if isinstance(each, Surplus)])
            self._write_marks()
        except TrailFull as full:
            self._abandon(full)
        return batch

    def settle(self) -> None:
        """The records of everything that was worked are durable, with one sync. Raises as `handle_batch` does."""
        self._to_the_disk(self._parts.trail.settle)

    def launch(self, woken: Callable[[], None]) -> bool:
        """The records of everything that was worked are on their way to the disk; see `Trail.launch`. Raises as `handle_batch` does."""
        return self._to_the_disk(lambda: self._parts.trail.launch(woken))

    def land(self) -> None:
        """What was launched is durable. Raises as `handle_batch` does."""
        self._parts.trail.land()

    def _to_the_disk(self, goes: Callable[[], Found]) -> Found | bool:
        try:
            return goes()
        except TrailFull as full:
            self._abandon(full)
            return False
        finally:
            self._worked.clear()

    def _abandon(self, full: TrailFull) -> None:
        """There is no space for the records of what was worked: who asked hears so."""
        self._parts.trail.abandon()
        log.error("trail full", exc_info=full, next="free space on the disk that holds the audit directory")
        for batch in self._worked:
            batch.answers = [turn.kept or self._unrecorded(turn) for turn in batch.turns]

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
            taken = None if words is None else self._courses.find(turn, words, self._parts.clock.now_ms())
            if taken is not None and not self._parts.trail.scarce:
                return self._again(turn, *taken)
            known = self._repeats.find(words)
            call = self._route(turn) if known is None else known.call
            operation = self._admit(turn, call)
            if known is None:
                params = self._read(turn, call, operation)
                if words is not None and operation.access.repeats:
                    self._repeats.keep(words, Meaning(call, params, turn.recorded))
            else:
                params, turn.recorded = known.params, known.recorded
            encoded = self._run(turn, operation, call, params, words if operation.access.repeats else None)
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

    def _again(self, turn: Turn, course: Course, permit: Permit) -> Answer:
        """The answer to a read that comes again, and its records."""
        call, encode, note = course.call, course.answer, self._parts.trail.note
        assert call is not None, "this is the course of a request"
        assert encode is not None, "and a request has an answer"
        turn.service, turn.operation = call.service.name, call.operation.name
        answer = encode(course.again.opens(), turn.request.id)
        for record in self._ledger.again(turn, permit.forms, course.says):
            note("call", record)
        self._leave_marks(turn, ())
        self._parts.count(turn.service, turn.operation, "", turn.caller)
        return answer

    def _refused(self, turn: Turn, form: protocol.Call | protocol.Family, fault: Exception) -> Answer:
        if self._parts.trail.scarce and not isinstance(
            fault, Full
        ):  # what was held back is for deletions, not for refusals
            self._refusal(turn, fault)
            self._parts.count(turn.service, turn.operation, "ServiceUnavailable", turn.caller)
            return self._unrecorded(turn)
        refusal = self._refusal(turn, fault)
        self._ledger.note_refusal(turn, refusal)
        self._parts.count(turn.service, turn.operation, refusal.code, turn.caller)
        return self._told(turn, refusal, protocol.encode_error(form, refusal, turn.request.id))

    def _turned_away(self, turn: Turn) -> Answer:
        """The refusal of a surplus request. Nothing of it is looked at but what protocol it speaks; see `_note_surplus` for its record."""
        if self._parts.trail.scarce:
            return self._unrecorded(turn)
        return protocol.encode_error(
            protocol.route.family(turn.request), errors.Throttled("Rate exceeded"), turn.request.id
        )

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
        self._ledger.note_call(turn)
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
            raise errors.TooLarge(self._too_large(request))
        claim = signature.read_claim(request)
        if claim is None:
            return
        turn.claimed_key, turn.region = claim.access_key_id, claim.region
        key = self._signer(request, claim, parts.clock.now_ms())
        turn.key, turn.caller = key, key.caller
        turn.service = claim.service
        if request.upload is not None:
            request.body = request.upload.read()

    def _signer(self, request: Request, claim: signature.Claim, now_ms: int) -> Key:
        """The key that has signed `request`. It is kept with the MAC of its scope, upon the rows that say whose it is."""
        scope = ("signer", claim.access_key_id, claim.session_token, claim.date, claim.region, claim.service)
        signer: tuple[Key, Mac] | None = self._derived.kept(scope)
        if signer is not None and (signer[0].until_ms is None or now_ms < signer[0].until_ms):
            signature.verify_in_scope(request, claim, signer[1], now_ms=now_ms)
            return signer[0]

        def verified(tx: Tx) -> tuple[Key, Mac]:
            found = self._verified(tx, request, claim, now_ms)
            if isinstance(tx, Glance) and not tx.has_asked:
                self._derived.keep_upon(scope, found)
            return found

        return self._look(verified)[0]

    def largest_body(self, head: Request) -> tuple[int, bool]:
        """Of what size (bytes) the body of a request must be smaller, whose head alone is here; 0: as any other's.

        And whether there is the access key that it names. Nothing more is known of who sends it: the signature covers the body.
        """
        try:
            claim = signature.read_claim(head)
            operation = None if claim is None else self._routed(head, claim.service)
            if claim is None or operation is None or not operation.access.largest_body:
                return 0, False
            now_ms = self._parts.clock.now_ms()
            self._derived.look()
            found = self._look(
                lambda tx: self._parts.keyring.find(tx, claim.access_key_id, claim.session_token, now_ms)
            )
        except (ServiceError, StorageError) as fault:
            if isinstance(fault, Broken):
                raise
            return 0, False
        return operation.access.largest_body, found is not None

    def _routed(self, head: Request, signing_name: str) -> Operation | None:
        """The operation that is called by what says so in its head. Raises ServiceError."""
        if protocol.route.family(head) != "rest-json":
            return None
        call = protocol.route.find(self._parts.models, head, signing_name, self._parts.limits)
        return self._parts.rooms[call.service.name].operations.get(call.operation.name)

    def _too_large(self, request: Request) -> str:
        """Source: recorded on AWS (Lambda, the operations with a bound of their own)."""
        try:
            claim = signature.read_claim(request)
            operation = None if claim is None else self._routed(request, claim.service)
        except ServiceError:
            operation = None
        if operation is None or not operation.access.largest_body:
            return f"The request body is larger than {self._parts.limits.size} bytes."
        access, name = operation.access, operation.access.largest_body_of or operation.name
        return f"Request must be smaller than {access.largest_body} bytes for the {name} operation"

    def _verified(self, tx: Tx, request: Request, claim: signature.Claim, now_ms: int) -> tuple[Key, Mac]:
        """The key that has signed `request`, and the MAC under its signing key."""
        key = self._parts.keyring.find(tx, claim.access_key_id, claim.session_token, now_ms)
        mac: Mac | None = None

        def signing_key(date: str, region: str, service: str) -> Mac:
            nonlocal mac
            if key is None:
                return signature.nobodys_key(date, region, service)
            scope = ("signing key", claim.access_key_id, claim.session_token, date, region, service)
            mac = tx.derived(scope, lambda: keyed(signature.signing_key(key.secret, date, region, service)))
            assert mac is not None, "there is a signing key for every scope"
            return mac

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
        assert mac is not None, "verify asked for no signing key"
        return key, mac

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
        access, limits = operation.access, self._parts.limits
        if access.largest_body:
            limits = replace(limits, size=max(limits.size, access.largest_body))
        params = protocol.decode(call, turn.request, limits)
        if turn.request.upload is not None:
            turn.request.body = b""  # it is large, and is in the parameters now
        turn.recorded = {name: params[name] for name in access.recorded if name in params}
        protocol.validate(call.operation, params, leave=access.leave)
        access.check(params)
        return params

    # -- run, keep, note ----------------------------------------------------------------------------------------------

    def _run(
        self, turn: Turn, operation: Operation, call: protocol.Call, params: Params, words: Words | None = None
    ) -> Answer:
        """The answer as it goes over the wire: what cannot be said is found out while it can still be undone.

        If the request comes again in the same `words`, it is answered as shortly as it can be.
        """
        self._prepare(turn, operation, params)
        if operation.writes:
            return self._write(turn, operation, call, params)

        def read(tx: Tx) -> tuple[Context, Answer]:
            turn.inner.clear()
            turn.steps.clear()
            ctx = self._context(turn, tx, reads_only=True)
            return ctx, self._perform_and_encode(turn, ctx, operation, call, params)

        ctx, encoded = self._look(read)
        if (
            words is not None
            and ctx.again is not None
            and not ctx.afterwards
            and saw_only_what_was_kept(ctx)
            and len(turn.inner) == len(turn.steps)  # whatever it asked of other rooms was answered
        ):
            steps = [*turn.steps, turn]
            self._courses.keep(turn, words, steps, ctx.again, self._parts.clock.now_ms(), call=call)
        self._leave_marks(turn, ctx.afterwards)
        self._ledger.note_call(turn)
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
                    for record in self._ledger.announced(turn, ctx):
                        intents.append(parts.trail.note("intent", record))
                        add_applied(tx, intents[-1], parts.clock.now_ms())
                    parts.trail.settle()
            except Exception as fault:
                self._ledger.note_failed(intents, fault)
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
            turn.demands = demands
            turn.touches = [demand.target for demand in demands if demand.target is not None]
            try:
                self._parts.gate.check(ctx, demands)
            except errors.AccessDenied:
                self._look_for_nothing(turn, ctx, operation, params)
                raise
            answer = operation.handler(ctx, params)
            if isinstance(answer, Later):
                raise Waits(answer, ctx.afterwards)
            answered = dict(answer)
            if operation.writes:
                self._parts.watcher.changed(ctx, turn.service, turn.operation, params, answered)
            return answered
        finally:
            turn.proven = ctx.proven

    def _look_for_nothing(self, turn: Turn, ctx: Context, operation: Operation, params: Params) -> None:
        """Who is denied has waited for the database. What is there may be kept, what is not there never is: the time would tell which."""
        if saw_only_what_was_kept(ctx):
            names = {operation.access.names: NOBODYS_NAME} if operation.access.names else {}
            with self._parts.storage.reading() as tx:
                operation.access.demands(self._context(turn, tx, reads_only=True), {**params, **names})

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
        if service == asking:
            return self._ask_itself(turn, ctx, service, name, params)
        caller = behind_service(ctx, host_of(asking))
        return self._inner(turn, ctx, caller, within(ctx, asking, service), service, name, params)

    def _ask_itself(self, turn: Turn, ctx: Context, service: str, name: str, params: Params) -> Params:
        """A service asks itself, as the caller: what it has asked before is had again, as requests are. See `courses`."""
        tx = ctx.tx
        if (
            not isinstance(tx, Glance)
            or turn.conditions is not None
            or ctx.caller is not turn.caller
            or not self._operation(service, name).access.repeats
            or not all(isinstance(value, str) for value in params.values())
        ):
            return self._inner(turn, ctx, ctx.caller, ctx.conditions, service, name, params)
        words, now_ms = (service, name, *params.items()), self._parts.clock.now_ms()
        taken = self._courses.find(turn, words, now_ms, tx.kept)
        if taken is not None:
            course, permit = taken
            had = {**course.again.fixed, course.again.member: course.again.opens()}
            turn.inner += self._ledger.again(turn, permit.forms, course.says)
            ctx.asked.append(None)
            return had
        since, first, noted, marks = len(self._derived.touched), len(turn.steps), len(turn.inner), len(ctx.afterwards)
        answer = self._inner(turn, ctx, ctx.caller, ctx.conditions, service, name, params)
        steps, again = turn.steps[first:], ctx.asked[-1]
        if (
            again is not None
            and len(ctx.afterwards) == marks
            and saw_only_what_was_kept(ctx)
            and len(turn.inner) - noted == len(steps)
        ):
            self._courses.keep(turn, words, steps, again, now_ms, since=since)
        return answer

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
        except Waits as waits:
            raise AssertionError(
                f"{service}:{name} waits for the outside: it cannot be asked in a transaction"
            ) from waits
        except ServiceError as refusal:
            turn.inner.append(self._ledger.api_call(step, refusal))
            raise
        step.answered = {key: answer[key] for key in access.answered if key in answer}
        turn.inner.append(self._ledger.answered_call(step) if turn.read_only else self._ledger.api_call(step))
        turn.steps.append(step)
        ctx.asked.append(inner.again)
        return answer

    def _leave_marks(self, turn: Turn, marks: Sequence[Mark]) -> None:
        """Dates of use and the like, which are written before the answer leaves, with those of the whole batch."""
        now_ms = self._parts.clock.now_ms()
        due = [*marks]
        if turn.key is not None and turn.key.mark_is_due(now_ms):
            used = (turn.claimed_key, turn.service, turn.region, now_ms)
            due.append(Mark(lambda tx: self._parts.keyring.mark_used(tx, *used), ""))
        if due:
            self._marks += due
            if not all(mark.under for mark in due):
                self._marked += self._derived.touched

    def _write_marks_and_settle(self) -> None:
        """Marks are left, and what was noted is durable. Raises Broken, TrailBroken, TrailFull."""
        self._write_marks()
        self._parts.trail.settle()

    def _write_marks(self) -> None:
        """Marks are left. Raises Broken.

        A read is not refused because its mark could not be left; the log says so. It is still due at the next read.
        """
        marks, self._marks = self._marks, []
        marked, self._marked = self._marked, []
        try:
            if marks:
                with self._derived.writing() as tx:
                    for mark in marks:
                        mark.write(tx)
                self._derived.forget(marked, [mark.under for mark in marks if mark.under])
        except Broken:
            raise
        except StorageError as fault:
            log.warning(
                "dates of use not kept", fault=type(fault).__name__, next="they are tried again at the next use"
            )
        except Exception:  # a fault of ours, and no reason to take back what was done
            log.exception("fault", next="dates of use are not kept")

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
        return replace(key.caller, taken_by=host_of(asking))

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
            self._ledger.note_refusal(turn, refusal)
            self._write_marks_and_settle()
            raise
        self._write_marks_and_settle()
        return said[-1]

    def _alone_outside(self, turn: Turn, call: protocol.Call, later: Later) -> None:
        """What lies outside is fetched and noted. Raises ServiceError, which is on the disk."""
        try:
            self._said(turn, call, later.fetch())
        except ServiceError as refusal:
            self._ledger.note_refusal(turn, refusal)
            self._write_marks_and_settle()
            raise
        self._ledger.note_call(turn)

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


def saw_only_what_was_kept(ctx: Context) -> bool:
    """Whether a transaction has asked the database nothing so far."""
    return isinstance(ctx.tx, Glance) and not ctx.tx.has_asked


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


def fetching(waits: tuple[Turn, protocol.Call], later: Later) -> Callable[[], Fetched]:
    """`later.fetch` as something that raises only what ends the process: any other fault travels back to the request that waits."""

    def fetch() -> Fetched:
        try:
            return Fetched(waits, found=later.fetch())
        except (TrailBroken, Broken):
            raise
        except Exception as fault:  # noqa: BLE001  the pipeline turns it into an answer
            return Fetched(waits, fault=fault)

    return fetch
