"""One request on its way: what a pipeline is made of, what is known of the request so far, and what it says to policies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

from geumgo import protocol
from geumgo.access.demand import Demands, Target
from geumgo.access.gate import Gate, through
from geumgo.access.ports import Key, Keyring
from geumgo.audit.trail import Kind
from geumgo.context import (
    NO_ARCHIVE,
    NO_SESSIONS,
    NOBODY,
    Archive,
    Caller,
    Clock,
    Context,
    Later,
    Mark,
    NobodyListens,
    NobodyWatches,
    Params,
    Place,
    Proven,
    Publisher,
    Sessions,
    Watcher,
)
from geumgo.functions import NO_FUNCTIONS, Functions
from geumgo.message import Answer, Request
from geumgo.principals import Principals
from geumgo.room import Room
from geumgo.sealing import Sealing
from geumgo.storage import Storage

Count = Callable[[str, str, str, Caller], None]
"""(service, operation, error code or "", who asked) of every answer, for the metrics."""


class Notes(Protocol):
    """What a pipeline needs of the trail. See `audit.trail.Trail`."""

    def note(self, kind: Kind, record: Mapping[str, Any] | bytes) -> str: ...
    def settle(self) -> None: ...
    def launch(self, woken: Callable[[], None], /) -> bool: ...
    def land(self) -> None: ...
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
    most_derived: int = 32_000  # see Settings.derived_entries
    honour_child_denies: bool = True  # see Settings.honour_child_denies
    sessions: Sessions = NO_SESSIONS
    publisher: Publisher = field(default_factory=NobodyListens)
    functions: Functions = NO_FUNCTIONS
    watcher: Watcher = field(default_factory=NobodyWatches)
    archive: Archive = NO_ARCHIVE


class Waits(Exception):
    """The answer lies outside: whatever transaction is open ends, and nothing of it is kept."""

    def __init__(self, later: Later, marks: Sequence[Mark]) -> None:
        """`marks` are the dates of use and the like that the call leaves: it is permitted, whatever is fetched."""
        super().__init__("the answer lies outside")
        self.later, self.marks = later, marks


class Turn:
    """One request on its way: what is known of it so far, for the trail, and the door to other rooms.

    No dataclass: its constructor would be interpreted where everything around it is compiled. So have a request and an answer their own.
    """

    __slots__ = ("answered", "aside", "caller", "claimed_key", "conditions", "demands", "inner", "kept", "key", "operation",
                 "parts", "prepared", "proven", "read_only", "recorded", "region", "request", "service", "steps", "touches")  # fmt: skip

    def __init__(
        self,
        request: Request,
        parts: Parts,
        service: str = "",
        operation: str = "",
        region: str = "",
        caller: Caller = NOBODY,
        *,
        claimed_key: str = "",
        recorded: Params | None = None,
        read_only: bool = True,
    ) -> None:
        self.request, self.parts = request, parts
        self.service, self.operation, self.region = service, operation, region
        self.caller, self.claimed_key = caller, claimed_key
        self.key: Key | None = None
        self.recorded: Params = {} if recorded is None else recorded
        self.answered: Params = {}
        self.touches: Sequence[Target] = ()
        self.proven: Proven | None = None
        self.prepared: Any = None
        self.demands: Demands = ()
        self.inner: list[Params | bytes] = []
        self.steps: list[Turn] = []  # what it asked of other rooms and was answered
        self.read_only = read_only
        self.conditions: Mapping[str, tuple[str, ...]] | None = None  # None: what the request itself says
        self.aside: list[Params] | None = None  # where an answer goes that is not for the wire
        # Of a write that is committed: its intent is on the disk, so the answer may leave.
        self.kept: Answer | None = None


def itself(service: str, place: Place) -> Caller:
    """A service that asks for itself, in an account. Source: service principals, IAM User Guide."""
    return Caller(kind="AWSService", account=place.account, arn="", unique_id="", name=host_of(service))


def source_of(place: Place, source_arn: str) -> dict[str, tuple[str, ...]]:
    """On whose account a service asks. Source: aws:SourceAccount, aws:SourceArn; IAM User Guide ("confused deputy")."""
    keys: dict[str, tuple[str, ...]] = {"aws:SourceAccount": (place.account,)}
    if source_arn:
        keys["aws:SourceArn"] = (source_arn,)
    return keys


def behind_service(ctx: Context, host: str) -> Caller:
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
    now = (str(now_ms // 1000),)
    return {**said_by(request, region), "aws:EpochTime": now, "aws:CurrentTime": now}


TIMES: Final = frozenset({"aws:EpochTime", "aws:CurrentTime"})
"""The condition keys that say something else of the same request a moment later."""


def said_by(request: Request, region: str) -> dict[str, tuple[str, ...]]:
    """The condition keys that the requests of one client have in common. Often the same object; not to be changed."""
    first = request.first_values
    return _said_by(request.peer, request.secure, region, first.get(b"user-agent"), first.get(b"referer"))


@lru_cache(maxsize=4096)
def _said_by(
    peer: str, secure: bool, region: str, agent: bytes | None, referer: bytes | None
) -> dict[str, tuple[str, ...]]:
    keys: dict[str, tuple[str, ...]] = {
        "aws:SourceIp": (peer,),
        "aws:SecureTransport": ("true" if secure else "false",),
        "aws:RequestedRegion": (region,),
    }
    for key, value in (("aws:UserAgent", agent), ("aws:Referer", referer)):
        if value is not None:
            keys[key] = (value.decode("utf-8", "replace"),)
    return keys
