"""The refusals of CloudWatch. Source of the names: botocore model 2010-08-01. Unverified: every message."""

from geumgo.errors import ServiceError


class InvalidParameterValue(ServiceError):
    code = "InvalidParameterValueException"


class InvalidParameterCombination(ServiceError):
    code = "InvalidParameterCombinationException"


class MissingParameter(ServiceError):
    code = "MissingRequiredParameterException"


class InvalidNextToken(ServiceError):
    code = "InvalidNextToken"


class ValidationError(ServiceError):
    """What GetMetricData refuses; its model names no error for it."""

    code = "ValidationError"
