"""botocore is the other end of every wire: what it sends we read, what we answer it reads, for all operations."""

from typing import Any

import pytest

from geumgo.errors import ServiceError
from geumgo.protocol import Family, OperationModel, decode, encode, encode_error, models, route
from geumgo.protocol.shapes import Call
from tests.protocol.services import SERVED, Maker, botocore_model, parsed, serialized

SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0)  # of optional members that are there, by example

# SimpleDB is no room of ours: it is there because no other service has flattened lists.
WIRES = [(service, family) for service in [*SERVED, "sdb"] for family in models.load(service).protocols]


def wires() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("service", "family"), WIRES, ids=[f"{name}-{family}" for name, family in WIRES])


def served(service: str) -> list[OperationModel]:
    return [operation for operation in models.load(service).operations.values() if not operation.event_stream]


def test_the_operations_that_are_not_served_are_the_ones_with_event_streams():
    streams = {
        (service, operation.name)
        for service in SERVED
        for operation in models.load(service).operations.values()
        if operation.event_stream
    }
    assert streams == {("lambda", "InvokeWithResponseStream")}


@wires()
def test_what_botocore_sends_is_read_back_value_by_value(service: str, family: Family):
    model = models.load(service)
    for operation in served(service):
        for example, share in enumerate(SHARES):
            maker = Maker(f"in {service} {operation.name} {example}", family, whole=family == "query")
            params = maker.structure(operation.input, share=share) if operation.input else {}
            sent = serialized(family, botocore_model(service).operation_model(operation.name), params)
            call = route.find({service: model}, sent, model.signing_name)
            assert call == (model, operation, family)
            assert decode(call, sent) == as_sent(operation, params), operation


def as_sent(operation: OperationModel, params: dict[str, Any]) -> dict[str, Any]:
    """`params` with what botocore adds of its own: it writes `{}` for an absent structure that is the body."""
    payload = operation.input.payload if operation.input else None
    if operation.input and payload and operation.input.members[payload].shape.kind == "structure":
        return {payload: {}} | params
    return params


@wires()
def test_botocore_reads_every_answer_value_by_value(service: str, family: Family):
    model = models.load(service)
    for operation in served(service):
        shape = botocore_model(service).operation_model(operation.name).output_shape
        for example, share in enumerate(SHARES):
            maker = Maker(f"out {service} {operation.name} {example}", family)
            answer = maker.structure(operation.output, share=share) if operation.output else {}
            encoded = encode(Call(model, operation, family), answer, "the-request-id")
            read = parsed(family, encoded, shape)
            metadata = read.pop("ResponseMetadata", {})
            if shape is not None or family != "cbor":
                assert metadata["RequestId"] == "the-request-id"
            assert read == as_botocore_reads(operation, encoded.status, answer), operation


def as_botocore_reads(operation: OperationModel, status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """`answer` with what botocore adds of its own: the status, and a payload that is always there."""
    shape = operation.output
    if shape is None:
        return answer
    expected = dict(answer)
    for name, member in shape.members.items():
        if member.location == "statusCode":
            expected[name] = status
    if shape.payload is not None and shape.members[shape.payload].shape.kind == "blob":
        expected[shape.payload] = answer.get(shape.payload, b"")
    return expected


@wires()
def test_botocore_finds_code_and_message_of_every_modelled_error(service: str, family: Family):
    model = models.load(service)
    by_name = botocore_model(service)
    operation = served(service)[0]
    for error in {id(error): error for error in model.errors.values()}.values():
        refusal = make_refusal(error.code if family == "query" else error.name, "Not like <this>: ü")
        encoded = encode_error(Call(model, operation, family), refusal, "the-request-id")
        read = parsed(family, encoded, None)
        assert read["Error"]["Code"] == error.code, error
        assert read["Error"]["Message"] == "Not like <this>: ü", error
        assert read["ResponseMetadata"]["RequestId"] == "the-request-id"
        modelled = parsed(family, encoded, by_name.shape_for_error_code(error.code))
        # On the query protocol the element is always <Message>, whatever the model calls the member.
        if error.text == "Message" or (error.text and family != "query"):
            assert modelled[error.text] == "Not like <this>: ü"


def make_refusal(name: str, message: str, **members: Any) -> ServiceError:
    kind = type(name, (ServiceError,), {"code": name})
    refusal = kind(message, **members)
    assert isinstance(refusal, ServiceError)
    return refusal
