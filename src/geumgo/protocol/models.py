"""AWS's service models, read from botocore's data files and boiled down to what the codecs need; and our own, in the same form."""

from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

from geumgo.protocol.shapes import ErrorModel, Family, Kind, Member, OperationModel, ServiceModel, Shape

OWN = Path(__file__).with_name("own")
"""Where models of our own stand as botocore's do: `service/version/service-2.json`. A client of botocore's can be pointed at it."""

_FAMILIES: dict[str, Family] = {
    "json": "json",
    "query": "query",
    "rest-json": "rest-json",
    "smithy-rpc-v2-cbor": "cbor",
}

_SCALARS: frozenset[Kind] = frozenset(("string", "integer", "long", "float", "double", "boolean", "timestamp", "blob"))


class UnknownService(LookupError):
    """There is no service of that name, or it cannot be spoken to: its protocol, or a part of it, is not one of ours."""


@cache
def load(service: str) -> ServiceModel:
    """The model of `service` (botocore's name), in the newest API version that botocore has.

    Raises:
        UnknownService: there is none, or no codec of ours can carry it.

    """
    try:
        raw = Loader(
            include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH, str(OWN)]
        ).load_service_model(service, "service-2")
    except UnknownServiceError:
        raise UnknownService(service) from None
    return _Compiler(service, raw).service()


def is_own(service: str) -> bool:
    """Whether `service` is one of our own, which AWS has not."""
    return (OWN / service).is_dir()


def errors_of(service: str) -> set[str]:
    """The wire codes of the errors that the model of `service` knows: the names a room's refusals may have."""
    model = load(service)
    query = model.protocol == "query"
    return {error.code if query else error.name for error in model.errors.values()}


class _Compiler:
    """Makes one service's plain data. A shape is made once, and known before its members, so that it may recur."""

    def __init__(self, service: str, raw: dict[str, Any]) -> None:
        self.name = service
        self.raw = raw
        self.made: dict[str, Shape] = {}

    def service(self) -> ServiceModel:
        metadata = self.raw["metadata"]
        protocols = tuple(
            _FAMILIES[name] for name in metadata.get("protocols", [metadata["protocol"]]) if name in _FAMILIES
        )
        if not protocols:
            raise UnknownService(f"{self.name} speaks {metadata['protocol']}")
        return ServiceModel(
            name=self.name,
            full_name=metadata["serviceFullName"],
            protocol=protocols[0],
            protocols=protocols,
            json_version=metadata.get("jsonVersion", "1.0"),
            target_prefix=metadata.get("targetPrefix", ""),
            api_version=metadata["apiVersion"],
            signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
            xml_namespace=metadata.get("xmlNamespace", ""),
            query_compatible="awsQueryCompatible" in metadata,
            operations={name: self.operation(name, raw) for name, raw in sorted(self.raw["operations"].items())},
            errors=self.errors(),
        )

    def operation(self, name: str, raw: dict[str, Any]) -> OperationModel:
        http = raw["http"]
        taken = self.shape(raw["input"]["shape"]) if "input" in raw else None
        given = self.shape(raw["output"]["shape"]) if "output" in raw else None
        streams = any(
            member.shape.event_stream
            for shape in (taken, given)
            if shape is not None
            for member in shape.members.values()
        )
        return OperationModel(
            name=name,
            method=http["method"],
            uri=http["requestUri"],
            status=http.get("responseCode", 200),
            input=taken,
            output=given,
            result_wrapper=raw.get("output", {}).get("resultWrapper"),
            errors=tuple(error["shape"] for error in raw.get("errors", ())),
            event_stream=streams,
            unsigned=raw.get("authtype") == "none" or "smithy.api#noAuth" in raw.get("auth", ()),
        )

    def errors(self) -> dict[str, ErrorModel]:
        """Every modelled error, by its name and by its query code. A name wins over another error's code."""
        found = [self.error(name, raw) for name, raw in self.raw["shapes"].items() if raw.get("exception")]
        return {error.code: error for error in found} | {error.name: error for error in found}

    def error(self, name: str, raw: dict[str, Any]) -> ErrorModel:
        shape = self.shape(name)
        details = raw.get("error", {})
        return ErrorModel(
            name=name,
            code=details.get("code") or name,
            shape=shape,
            text=next((member.wire for member in shape.members.values() if member.wire.lower() == "message"), None),
            status=details.get("httpStatusCode"),
            fault=bool(raw.get("fault")),
        )

    def shape(self, name: str) -> Shape:
        if name in self.made:
            return self.made[name]
        raw = self.raw["shapes"][name]
        kind: Kind = "document" if raw.get("document") else raw["type"]
        shape = self.made[name] = Shape(
            name=name,
            kind=kind,
            required=tuple(raw.get("required", ())),
            low=raw.get("min"),
            high=raw.get("max"),
            pattern=raw.get("pattern"),
            enum=tuple(raw.get("enum", ())),
            sensitive=bool(raw.get("sensitive")),
            union=bool(raw.get("union")),
            payload=raw.get("payload"),
            event_stream=bool(raw.get("eventstream")),
        )
        shape.members = {member: self.member(member, ref) for member, ref in raw.get("members", {}).items()}
        shape.member = self.member("member", raw["member"]) if "member" in raw else None
        shape.key = self.member("key", raw["key"]) if "key" in raw else None
        shape.value = self.member("value", raw["value"]) if "value" in raw else None
        return shape

    def member(self, name: str, ref: dict[str, Any]) -> Member:
        shape = self.shape(ref["shape"])
        traits = self.raw["shapes"][ref["shape"]] | ref
        if traits.get("location") == "headers":
            raise UnknownService(f"{self.name} has a member that is many headers: {name}")
        if traits.get("location") == "querystring" and shape.kind == "map":
            raise UnknownService(f"{self.name} has a member that is the whole query string: {name}")
        if traits.get("location") == "header" and (shape.kind not in _SCALARS or traits.get("jsonvalue")):
            raise UnknownService(f"{self.name} has a header that is not a scalar: {name}")
        return Member(
            name=name,
            wire=traits.get("locationName", name),
            shape=shape,
            named="locationName" in traits,
            location=traits.get("location"),
            flattened=bool(traits.get("flattened")),
            sensitive=bool(traits.get("sensitive")),
            timestamp_format=traits["timestampFormat"].lower() if "timestampFormat" in traits else None,
        )
