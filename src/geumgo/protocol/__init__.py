"""AWS on the wire, from botocore's service models. Names no service.

    call = route.find(services, request, signing_name)    which operation is meant, in which protocol
    params = decode(call, request)                        typed values, by the model's names
    validate(call.operation, params)                      refused in AWS's own words
    answer = encode(call, result, request.id)             or encode_error(call, refusal, request.id)

`params` and results are plain dicts: str, int, float, bool, bytes, aware datetimes in UTC, lists, dicts. What is absent
has no key.
"""

from geumgo.protocol import models, route
from geumgo.protocol.codec import alike, decode, encode, encode_error
from geumgo.protocol.limits import Limits
from geumgo.protocol.shapes import Call, ErrorModel, Family, Member, OperationModel, ServiceModel, Shape
from geumgo.protocol.tree import NotInModel
from geumgo.protocol.validate import validate

__all__ = [
    "Call",
    "ErrorModel",
    "Family",
    "Limits",
    "Member",
    "NotInModel",
    "OperationModel",
    "ServiceModel",
    "Shape",
    "alike",
    "decode",
    "encode",
    "encode_error",
    "models",
    "route",
    "validate",
]
