"""What an operation is handed (`Context`), what a job is handed (`Work`), and the plain values both speak in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

from geumgo.functions import NO_FUNCTIONS, Functions
from geumgo.principals import NO_PRINCIPALS, Login, Principals
from geumgo.sealing import Sealing
from geumgo.storage import Storage, Tx

Params = dict[str, Any]


class Place(NamedTuple):
    """An account in a region. Every row belongs to one."""

    account: str
    region: str
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


class Clock(Protocol):
    def now_ms(self) -> int:
        """Unix time in whole milliseconds."""
        ...


def as_datetime(at_ms: int) -> datetime:
    """The moment `at_ms` (Unix milliseconds) as an aware datetime in UTC: the form that the codecs encode."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of temporary credentials: the facts that AssumeRole, GetSessionToken ... sealed into the token."""

    issuer_arn: str  # the role (or user) behind the session
    issuer_id: str  # its unique id, AROA... or AIDA...
    issuer_name: str
    name: str
    issued_at_ms: int
    expires_at_ms: int
    policies: tuple[str, ...] | None = None  # session policy documents; None: none was passed
    source_identity: str | None = None
    mfa: bool = False
    federated_provider: str | None = None
    transitive_tags: frozenset[str] = frozenset()
    password: bool = False  # signed in with a password, as to the console


CallerKind = Literal["Root", "IAMUser", "AssumedRole", "FederatedUser", "AWSService", "Anonymous"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Made by the keyring from a verified signature, or by us for a service that acts on its own."""

    kind: CallerKind
    account: str
    arn: str  # arn:aws:iam::123456789012:user/ann, arn:aws:sts::...:assumed-role/app/session, arn:aws:iam::...:root
    unique_id: str  # aws:userid: AIDA..., AROA...:session, the account id for root
    name: str = ""  # aws:username for a user, the service's host name for an AWS service
    access_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)  # aws:PrincipalTag/...
    session: Session | None = None
    via: tuple[
        str, ...
    ] = ()  # services through which the call came, outermost first: ("secretsmanager.amazonaws.com",)
    taken_by: str = ""  # the service that took this role for a request of its own: "ecs.amazonaws.com"


NOBODY = Caller(kind="Anonymous", account="", arn="", unique_id="")


@dataclass(frozen=True, slots=True)
class Proven:
    """Whom an operation that nobody signs has proven by what the request holds.

    `identity` is how the trail names him (its userIdentity), `account` whose trail it is. `shape` makes the record of this call what it
    is on AWS, where that is not the record of an API call.
    """

    identity: Mapping[str, Any]
    account: str
    shape: Callable[[Params], Params] | None = None


@dataclass(slots=True)
class Outside:
    """What an operation is handed before its transaction, for work that must not hold one open: slow hashes.

    `reading` and `writing` open short transactions of its own. What those wrote stays, whatever becomes of the operation.
    """

    reading: Callable[[], AbstractContextManager[Tx]]
    writing: Callable[[], AbstractContextManager[Tx]]
    place: Place
    peer: str  # the address of the other end
    clock: Clock
    sealing: Sealing
    principals: Principals
    proven: Proven | None = None


class Sessions(Protocol):
    """Who makes sessions: sts, joined by app."""

    def of_password(self, ctx: "Context", login: Login, *, seconds: int, mfa: bool) -> Params:
        """New credentials (the members of Credentials) of a user who has just shown his password, for `seconds`.

        One whose password is to be changed may do nothing else with them.
        """
        ...


class NoSessions:
    """Nobody makes sessions: what a Context has that was not told otherwise."""

    def of_password(self, ctx: "Context", login: Login, *, seconds: int, mfa: bool) -> Params:  # noqa: ARG002
        raise AssertionError("a session was asked for where nobody makes them")


NO_SESSIONS: Final = NoSessions()


@dataclass(frozen=True, slots=True)
class Event:
    """What EventBridge is told of: the members of its envelope that its source decides. Never a secret.

    `resources` are ARNs; `detail` is a JSON object.
    """

    source: str
    detail_type: str
    resources: tuple[str, ...]
    detail: Params


class Publisher(Protocol):
    """Who carries events to those who listen: the events room, joined by app."""

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        """Whoever listens on the default bus of `place` is promised `event`, if `tx` commits."""
        ...


class NobodyListens:
    """No events room is joined: what is published is heard by nobody."""

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        """Nothing follows."""


class Watcher(Protocol):
    """Who keeps watch over what is changed: the config room, joined by app."""

    def changed(self, ctx: "Context", service: str, operation: str, params: Params, answer: Params) -> None:
        """`operation`, one that writes, has just been done in the transaction of `ctx`: what follows is promised there."""
        ...


class NobodyWatches:
    """No config room is joined: changes are seen by nobody."""

    def changed(self, ctx: "Context", service: str, operation: str, params: Params, answer: Params) -> None:
        """Nothing follows."""


class Archive(Protocol):
    """Where the records of the trail are read again: the files of this machine, joined by app."""

    def record(self, where: Any) -> Params | None:
        """The record that stands at `where` (audit.follow.Where), with its eventID. None if it is not there any more."""
        ...


class NoArchive:
    """Nothing is read again: what a Context has that was given no files."""

    def record(self, where: Any) -> Params | None:
        """Nothing is there."""


NO_ARCHIVE: Final = NoArchive()


@dataclass(frozen=True, slots=True)
class Later:
    """What an operation answers when the answer lies outside (a function that runs): it is permitted, and has written nothing.

    Its transaction ends, the marks that it left `behind` are kept, then `fetch` is called where nobody is kept waiting by it, and gives the
    answer or raises a ServiceError. It may take long, and must not touch the transaction. Then the call is recorded and answered. Only
    for a request of its own: another room cannot ask for such an operation inside its transaction.
    """

    fetch: Callable[[], Params]


@dataclass(frozen=True, slots=True)
class Again:
    """How the answer to a read is had again by the same call, for as long as the rows that it looked at stay as they are.

    `fixed` are the members that stay, `member` is the one that does not, since nobody may keep it: `opens` gives it anew. It holds before
    `until_ms` (Unix milliseconds), when something is due that has to do with the time.
    """

    fixed: Params
    member: str
    opens: Callable[[], Any]
    until_ms: int


class Gateway(Protocol):
    """How a room reaches another one: the pipeline's inner door."""

    def call(self, ctx: "Context", service: str, operation: str, params: Params) -> Params: ...

    def act(self, ctx: "Context", service: str, operation: str, source_arn: str, params: Params) -> Params: ...

    def forbids(self, ctx: "Context", demand: Any) -> bool: ...


class Mark(NamedTuple):
    """A date of use, or the like, that a read leaves behind in a transaction of its own.

    What is kept `under` this id has the date in it; "": whatever the read has looked at may.
    """

    write: Callable[[Tx], None]
    under: str


@dataclass(slots=True)
class Context:
    """What an operation is handed. It lives as long as its transaction."""

    tx: Tx
    place: Place
    caller: Caller
    clock: Clock
    sealing: Sealing
    request_id: str
    gateway: Gateway
    conditions: Mapping[
        str, tuple[str, ...]
    ]  # what the request itself says to policies: aws:SourceIp, aws:SecureTransport ...
    reads_only: bool
    regions: frozenset[str] = frozenset()  # the regions that this site serves
    principals: Principals = NO_PRINCIPALS  # who exists here; app joins iam's
    afterwards: list[Mark] = field(default_factory=list)
    events: list[tuple[str, Params]] = field(default_factory=list)
    published: list[tuple[Place, Event]] = field(default_factory=list)
    sessions: Sessions = NO_SESSIONS
    functions: Functions = NO_FUNCTIONS  # who runs them; app joins the host
    archive: Archive = NO_ARCHIVE
    proven: Proven | None = None  # set by an operation that nobody signs, as soon as it knows
    prepared: Any = None  # what the operation's `Access.before` answered
    found: dict[Any, Any] = field(
        default_factory=dict
    )  # what this call has read already, so that demands and handler read it once
    again: Again | None = None  # set by a read that can say how its answer is had again
    asked: list[Again | None] = field(default_factory=list)  # the same of the calls that it has made, in their order

    def call(self, service: str, operation: str, /, **params: Any) -> Params:
        """The answer of another AWS service, asked as the caller, through the same gate and into the same trail.

        `service` is botocore's name ("kms"), `operation` AWS's ("Decrypt"). Raises that service's refusals.
        """
        return self.gateway.call(self, service, operation, params)

    def act(self, service: str, operation: str, /, *, source_arn: str = "", **params: Any) -> Params:
        """The answer of another AWS service, asked by this service for itself and not for the caller, in this transaction.

        `source_arn` is the thing on whose account it asks (aws:SourceArn). So a service assumes a role that trusts it.
        """
        return self.gateway.act(self, service, operation, source_arn, params)

    def forbids(self, demand: Any) -> bool:
        """Whether some policy explicitly denies the caller `demand` (an access.demand.Demand). What nobody allows is not forbidden.

        For an operation whose one demand covers many things, to honour a denial of some of them. Always False where the operator has
        switched that off.
        """
        return self.gateway.forbids(self, demand)

    def publish(self, source: str, detail_type: str, resources: Sequence[str], detail: Params) -> None:
        """Whoever listens to EventBridge in this place is promised this event, if this transaction commits. See `Event`."""
        self.published.append((self.place, Event(source, detail_type, tuple(resources), detail)))

    def behind(self, write: Callable[[Tx], None], *, under: str = "") -> None:
        """Do `write` in another transaction after this one, before the answer leaves. For reads that leave a mark; see `Mark`."""
        self.afterwards.append(Mark(write, under))

    def event(self, name: str, /, **details: Any) -> None:
        """Put a service event (`eventType: AwsServiceEvent`) into the trail, if this transaction commits.

        `details` become its additionalEventData.
        """
        self.events.append((name, details))


class Work(Protocol):
    """What a job's handler is handed.

    A handler reads and writes in transactions of its own and never holds one open across a call to the outside. Exactly one of the
    transactions of a handler must be `finishing()`: it commits the last change together with the end of the job.
    """

    place: Place
    clock: Clock
    sealing: Sealing
    storage: Storage
    attempt: int  # 1 for the first

    def writing(self) -> AbstractContextManager[Tx]:
        """A writing transaction that raises `LeaseLost` (and commits nothing) if another worker has taken this job over."""
        ...

    def finishing(self) -> AbstractContextManager[Tx]:
        """The last writing transaction: the job's row is gone when it commits."""
        ...

    def event(self, name: str, /, **details: Any) -> None:
        """Put a service event into the trail. Durable before the next commit of this job."""
        ...

    def call(
        self, service: str, operation: str, /, *, source_arn: str = "", role_arn: str = "", **params: Any
    ) -> Params:
        """The answer of an AWS service, asked by the service whose job this is, as its own principal, in a request of its own.

        No transaction of the job may be open. `source_arn` is the thing on whose account it asks (aws:SourceArn). With `role_arn` it asks
        as that role, which must trust it. Raises that service's refusals.
        """
        ...

    def check(self, demands: Sequence[Any], /, *, source_arn: str = "", role_arn: str = "") -> None:
        """Nothing, if this service, or the role that it assumes, is allowed all of `demands` (access.demand) for what the job does itself.

        No transaction of the job may be open. Raises AccessDenied, and the refusals of AssumeRole.
        """
        ...

    def publish(self, tx: Tx, source: str, detail_type: str, resources: Sequence[str], detail: Params) -> None:
        """Whoever listens to EventBridge in this place is promised this event, if `tx` commits. See `Event`."""
        ...
