"""The refusals of Config. All of them are HTTP 400. Unverified: sentences, where nothing else is said."""

from geumgo.errors import ServiceError, ValidationFailed

__all__ = ["ValidationFailed"]


class ConformancePackTemplateValidation(ServiceError):
    """The template is none that can be served; the sentence says what is wrong with it."""

    code = "ConformancePackTemplateValidationException"


class InsufficientPermissions(ServiceError):
    """Config cannot do it with the rights that it was given."""

    code = "InsufficientPermissionsException"


class InvalidConfigurationRecorderName(ServiceError):
    """A recorder cannot be called that."""

    code = "InvalidConfigurationRecorderNameException"

    def __init__(self) -> None:
        super().__init__("The configuration recorder name '' is not valid, blank string.")


class InvalidDeliveryChannelName(ServiceError):
    """A delivery channel cannot be called that."""

    code = "InvalidDeliveryChannelNameException"

    def __init__(self) -> None:
        super().__init__("The delivery channel name '' is not valid, blank string.")


class InvalidExpression(ServiceError):
    """The text is no query. Source: InvalidExpressionException, API reference."""

    code = "InvalidExpressionException"


class InvalidLimit(ServiceError):
    """The page cannot have that size."""

    code = "InvalidLimitException"


class InvalidNextToken(ServiceError):
    """The token was not made here for this question."""

    code = "InvalidNextTokenException"

    def __init__(self) -> None:
        super().__init__("The nextToken provided is invalid")


class InvalidParameterValue(ServiceError):
    """A value, or a combination of values, that Config does not take."""

    code = "InvalidParameterValueException"


class InvalidRecordingGroup(ServiceError):
    """What is to be recorded contradicts itself."""

    code = "InvalidRecordingGroupException"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The recording group provided is not valid. {reason}")


class InvalidRole(ServiceError):
    """The role is none, or does not let Config assume it."""

    code = "InvalidRoleException"


class InvalidResultToken(ServiceError):
    """The token was not made here for this account and region."""

    code = "InvalidResultTokenException"

    def __init__(self) -> None:
        super().__init__("The resultToken provided is invalid")


class InvalidTimeRange(ServiceError):
    """The earlier time is the later one."""

    code = "InvalidTimeRangeException"

    def __init__(self) -> None:
        super().__init__("The earlier time must be before the later time.")


class LastDeliveryChannelDeleteFailed(ServiceError):
    """The recorder is running and needs its delivery channel."""

    code = "LastDeliveryChannelDeleteFailedException"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Failed to delete last specified delivery channel with name '{name}', "
            "because there is a running configuration recorder."
        )


class LimitExceeded(ServiceError):
    """Asked for again too soon, or too much at once."""

    code = "LimitExceededException"


class MaxNumberOfConfigRulesExceeded(ServiceError):
    """The place has as many rules as it may have."""

    code = "MaxNumberOfConfigRulesExceededException"

    def __init__(self, most: int) -> None:
        super().__init__(f"Failed to put config rule because the maximum number of config rules: {most} is reached.")


class MaxNumberOfConfigurationRecordersExceeded(ServiceError):
    """There is a recorder already."""

    code = "MaxNumberOfConfigurationRecordersExceededException"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Failed to put configuration recorder '{name}' "
            "because the maximum number of configuration recorders: 1 is reached."
        )


class MaxNumberOfConformancePacksExceeded(ServiceError):
    """The place has as many conformance packs as it may have."""

    code = "MaxNumberOfConformancePacksExceededException"

    def __init__(self, most: int) -> None:
        super().__init__(f"The maximum number of conformance packs: {most} is reached.")


class MaxNumberOfDeliveryChannelsExceeded(ServiceError):
    """There is a delivery channel already."""

    code = "MaxNumberOfDeliveryChannelsExceededException"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Failed to put delivery channel '{name}' because the maximum number of delivery channels: 1 is reached."
        )


class NoAvailableConfigurationRecorder(ServiceError):
    """Somebody must first say what Config may read, and as whom."""

    code = "NoAvailableConfigurationRecorderException"


class NoAvailableDeliveryChannel(ServiceError):
    """Recording begins when it is known where to."""

    code = "NoAvailableDeliveryChannelException"

    def __init__(self) -> None:
        super().__init__("Delivery channel is not available to start configuration recorder.")


class NoSuchBucket(ServiceError):
    """The delivery channel names no bucket."""

    code = "NoSuchBucketException"

    def __init__(self) -> None:
        super().__init__("Cannot find a S3 bucket with an empty bucket name.")


class NoSuchConfigRule(ServiceError):
    """There is no rule of that name. Source of the sentence: recorded on AWS."""

    code = "NoSuchConfigRuleException"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The ConfigRule '{name}' provided in the request is invalid. Please check the configRule name"
        )


class NoSuchConfigRuleInConformancePack(ServiceError):
    """The conformance pack has no rule of that name."""

    code = "NoSuchConfigRuleInConformancePackException"

    def __init__(self, name: str) -> None:
        super().__init__(f"The conformance pack has no config rule '{name}'.")


class NoSuchConformancePack(ServiceError):
    """There is no conformance pack of that name."""

    code = "NoSuchConformancePackException"

    def __init__(self, name: str) -> None:
        super().__init__(f"Unable to find conformance pack with name '{name}'.")


class NoSuchConfigurationRecorder(ServiceError):
    """There is no recorder of that name."""

    code = "NoSuchConfigurationRecorderException"

    def __init__(self, name: str) -> None:
        super().__init__(f"Cannot find configuration recorder with the specified name '{name}'.")


class NoSuchDeliveryChannel(ServiceError):
    """There is no delivery channel of that name."""

    code = "NoSuchDeliveryChannelException"

    def __init__(self, name: str) -> None:
        super().__init__(f"Cannot find delivery channel with specified name '{name}'.")


class NoSuchRemediationConfiguration(ServiceError):
    """The rule has no remediation, or there is no such rule."""

    code = "NoSuchRemediationConfigurationException"

    def __init__(self, name: str) -> None:
        super().__init__(f"No RemediationConfiguration for rule {name} exists.")


class NoSuchRemediationException(ServiceError):
    """The resource is not excepted."""

    code = "NoSuchRemediationExceptionException"

    def __init__(self, resource_id: str) -> None:
        super().__init__(f"No remediation exception for the resource {resource_id} exists.")


class RemediationInProgress(ServiceError):
    """A run has not ended."""

    code = "RemediationInProgressException"

    def __init__(self) -> None:
        super().__init__("Remediation action is in progress. Wait and try again later.")


class ResourceInUse(ServiceError):
    """Something depends on it."""

    code = "ResourceInUseException"


class ResourceNotDiscovered(ServiceError):
    """Nobody has seen such a resource. Source of the sentence: recorded on AWS."""

    code = "ResourceNotDiscoveredException"

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(
            f"Resource {resource_id} of resourceType:{resource_type} is unknown or has not been discovered"
        )


class ResourceNotFound(ServiceError):
    """There is nothing with that ARN."""

    code = "ResourceNotFoundException"

    def __init__(self, arn: str) -> None:
        super().__init__(f"ResourceArn '{arn}' does not exist")


class TooManyTags(ServiceError):
    """More than 50 tags on one thing."""

    code = "TooManyTagsException"

    def __init__(self) -> None:
        super().__init__("Number of tags is over the limit of 50")
