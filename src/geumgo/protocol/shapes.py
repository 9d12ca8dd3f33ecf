"""The vocabulary of a service model: shapes, operations, services. Plain data, made by `models`, read by every codec.

botocore's own model objects resolve a reference anew at every step and keep the documentation in memory. These are
resolved once, share what is equal, and hold nothing that is not looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Family = Literal["json", "query", "rest-json", "cbor"]
Kind = Literal[
    "structure",
    "list",
    "map",
    "string",
    "integer",
    "long",
    "float",
    "double",
    "boolean",
    "timestamp",
    "blob",
    "document",
]
Location = Literal["uri", "querystring", "header", "statusCode"]


@dataclass(slots=True, eq=False)
class Shape:
    """One type. `members` belongs to structures, `member` to lists, `key` and `value` to maps; recursion is possible.

    `low` and `high` bound the length of text (characters), blobs (bytes), lists and maps (entries), and the value of
    numbers. `pattern` must fit the whole text. `document` is any JSON value.
    """

    name: str
    kind: Kind
    members: "dict[str, Member]" = field(default_factory=dict)
    required: tuple[str, ...] = ()
    member: "Member | None" = None
    key: "Member | None" = None
    value: "Member | None" = None
    low: float | None = None
    high: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    sensitive: bool = False
    union: bool = False
    payload: str | None = None
    event_stream: bool = False
    _by_wire: "dict[str, Member] | None" = None

    @property
    def by_wire(self) -> "dict[str, Member]":
        """A structure's members by their names on the wire."""
        if self._by_wire is None:
            self._by_wire = {member.wire: member for member in self.members.values()}
        return self._by_wire

    @property
    def element(self) -> "Member":
        """What a list holds."""
        assert self.member is not None, f"{self.name} is not a list"
        return self.member

    @property
    def entry(self) -> "tuple[Member, Member]":
        """What a map leads from and to."""
        assert self.key is not None, f"{self.name} is not a map"
        assert self.value is not None, f"{self.name} is not a map"
        return self.key, self.value

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


@dataclass(slots=True, eq=False)
class Member:
    """A place where a shape is used: its name in the model and on the wire, and what the place adds to the shape.

    `named` says that the model gives the wire name itself. That matters for elements of lists, whose name otherwise is
    the protocol's.
    """

    name: str
    wire: str
    shape: Shape
    named: bool = False
    location: Location | None = None
    flattened: bool = False
    sensitive: bool = False
    timestamp_format: str | None = None


@dataclass(slots=True, eq=False)
class ErrorModel:
    """A modelled error.

    `code` is its name on the wire of the query protocol, `name` that of the others; most are equal. `text` is the
    member that carries the message ("Message" or "message"), None when the error has none. `status` is None where the
    model does not say.
    """

    name: str
    code: str
    shape: Shape
    text: str | None
    status: int | None
    fault: bool


@dataclass(slots=True, eq=False)
class OperationModel:
    """One operation. `uri` is its template for rest-json: `/2015-03-31/functions/{FunctionName}/invocations`."""

    name: str
    method: str
    uri: str
    status: int
    input: Shape | None
    output: Shape | None
    result_wrapper: str | None
    errors: tuple[str, ...]
    event_stream: bool
    unsigned: bool

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


_JSON_TYPES = {"1.0": b"application/x-amz-json-1.0", "1.1": b"application/x-amz-json-1.1"}


@dataclass(slots=True, eq=False)
class ServiceModel:
    """One service as its model describes it.

    `name` is botocore's ("secretsmanager"), `protocol` the first of `protocols`. `errors` leads from every wire name of
    an error, in whatever protocol, to it.
    """

    name: str
    full_name: str
    protocol: Family
    protocols: tuple[Family, ...]
    json_version: str
    target_prefix: str
    api_version: str
    signing_name: str
    xml_namespace: str
    query_compatible: bool
    operations: Mapping[str, OperationModel]
    errors: Mapping[str, ErrorModel]

    @property
    def json_type(self) -> bytes:
        """The media type of its JSON."""
        return _JSON_TYPES[self.json_version]

    def __repr__(self) -> str:
        return f"<service {self.name}>"


class Call(NamedTuple):
    """A request that has found its operation, and the protocol in which it came."""

    service: ServiceModel
    operation: OperationModel
    protocol: Family
