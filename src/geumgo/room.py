"""How a room shows itself: its operations, its jobs, what each needs of the gate, and where its tables are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

from geumgo.access.demand import Demands
from geumgo.context import Context, Outside, Params, Work
from geumgo.renewal import Renewal

Handler = Callable[[Context, Any], Mapping[str, Any]]
JobHandler = Callable[[Work, Params], None]
Function = TypeVar("Function", bound=Callable[..., Any])


def nothing(params: Params) -> None:
    """Nothing is asked of the parameters beyond the model."""


@dataclass(frozen=True, slots=True)
class Access:
    """What must be allowed before an operation runs, and what the trail may keep of it.

    `demands` gives the permissions that this request needs; it may read through `ctx.tx`, and must never reveal by an exception whether
    something exists. An empty answer means that everybody who is signed in may call (sts:GetCallerIdentity). `recorded` and `answered`
    are the only members of request and answer that reach the trail, by their wire names; secrets are never among them. `check` raises a
    refusal for parameters that fit the model and cannot be served; it knows nothing but them. `before` is called once before the
    transaction of the operation opens, which finds its answer in `Context.prepared`. `repeats`: it is asked the same again and again, and
    nothing that it is asked with is a secret: what a request means may be kept (see `geumgo.repeats`). Such an operation must not change
    its parameters. `names`: the member that names what is asked for, where that
    may be kept. `largest_body`: its requests are smaller than so many bytes, however small others must be;
    `largest_body_of` is what a refusal of more calls it, if not by its name.
    """

    demands: Callable[[Context, Params], Demands]
    recorded: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    check: Callable[[Params], None] = nothing
    leave: frozenset[str] = frozenset()
    before: Callable[[Outside, Params], Any] | None = None
    repeats: bool = False
    names: str = ""
    largest_body: int = 0  # 0: as for all others
    largest_body_of: str = ""
    unsigned: bool = False  # AssumeRoleWithWebIdentity and its kind: the proof is in the request, not in its signature


_TAKES_AWAY = (
    *("Delete", "Remove", "Untag", "Unlabel", "Detach", "Disassociate", "Deregister"),
    *("Disable", "Deactivate", "Revoke", "Retire", "Cancel", "Stop", "Purge", "ScheduleKeyDeletion"),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is served: AWS's name, the function that does it, whether it may write.

    `takes_away`: it removes something or stops it. Such are served even from the space that is held back for a full disk.
    """

    name: str
    handler: Handler
    writes: bool
    access: Access
    takes_away: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes_away", self.name.startswith(_TAKES_AWAY))


def operation(function: Function) -> Function:
    """Mark a function as an operation that may write. Its name is AWS's, in snake case."""
    function.__dict__["geumgo_writes"] = True
    return function


def reads(function: Function) -> Function:
    """Mark a function as an operation that only reads: its transaction is rolled back whatever it did."""
    function.__dict__["geumgo_writes"] = False
    return function


def job(kind: str) -> Callable[[Function], Function]:
    """Mark a function as the handler of jobs of `kind` ("secretsmanager.purge_secret")."""

    def mark(function: Function) -> Function:
        function.__dict__["geumgo_job"] = kind
        return function

    return mark


class Room:
    """One AWS service as we serve it.

    `service` is botocore's name. `chapters` are the modules that hold the operations and jobs. `access` has exactly one entry for each
    operation, under AWS's name: an operation without one, or an entry without an operation, cannot be registered (ValueError).
    `tables` is the package with the migrations `0001_*.sql`, or None; `renews` are those of its tables that hold something under the root
    keys. `resource_type` ("AWS::KMS::Key") is how the service's records in the
    trail name what a call touched; empty: they do not.
    """

    def __init__(
        self,
        service: str,
        *,
        chapters: Sequence[ModuleType],
        access: Mapping[str, Access],
        tables: str | None = None,
        renews: Sequence[Renewal] = (),
        resource_type: str = "",
    ) -> None:
        self.service = service
        self.tables = tables
        self.renews = tuple(renews)
        self.resource_type = resource_type
        self.jobs: dict[str, JobHandler] = {}
        self.operations: dict[str, Operation] = {}
        names = {name.lower(): name for name in access}
        for function in (f for chapter in chapters for f in vars(chapter).values() if callable(f)):
            marks = getattr(function, "__dict__", {})
            if "geumgo_job" in marks:
                self.jobs[marks["geumgo_job"]] = function
            if "geumgo_writes" in marks:
                name = names.get(function.__name__.replace("_", ""))
                if name is None:
                    raise ValueError(f"{service}: {function.__name__} declares no access")
                self.operations[name] = Operation(name, function, marks["geumgo_writes"], access[name])
        missing = set(access) - set(self.operations)
        if missing:
            raise ValueError(
                f"{service}: access is declared for operations that do not exist: {', '.join(sorted(missing))}"
            )
