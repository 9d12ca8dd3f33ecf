"""What each operation of CloudTrail asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for AWS CloudTrail", Service Authorization Reference.
"""

from collections.abc import Callable, Mapping
from typing import Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.context import Context, Params
from geumgo.domain.storable import member_with_nul
from geumgo.errors import ServiceError, ValidationFailed
from geumgo.room import Access
from geumgo.services.cloudtrail import lookup

Keys = dict[str, tuple[str, ...]]
Declare = Callable[[Context, Params], Demands]


def without_resource(action: str) -> Declare:
    """The demand of an operation that knows no resources."""

    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"cloudtrail:{action}"),)

    return demands


def _trail(ctx: Context, action: str, name: str, keys: Keys) -> Demand:
    """The demand of an operation on the trail that `name` (a name or an ARN) means, whether it is there or not."""
    arn, account, found = lookup.trail_arn(ctx, name), ctx.place.account, None
    try:
        account = lookup.where(ctx, name)[0].account
        found = lookup.find(ctx, name)
    except ServiceError:
        pass  # the operation says so to whoever may call it
    if found is not None:
        arn = found.arn
    return Demand(f"cloudtrail:{action}", Target(arn, arn, account, tags=found.tags if found else {}), keys)


def _on_trail(action: str, member: str = "Name", keys: Callable[[Params], Keys] = lambda _: {}) -> Declare:
    """The demand of an operation on the trail in `member`."""

    def demands(ctx: Context, params: Params) -> Demands:
        return (_trail(ctx, action, params[member], keys(params)),)

    return demands


def _create(ctx: Context, params: Params) -> Demands:
    """Source: CreateTrail with tags needs cloudtrail:AddTags too, Service Authorization Reference."""
    keys = _request_tags(params)
    demands = [_trail(ctx, "CreateTrail", params["Name"], keys)]
    if params.get("TagsList"):
        demands.append(_trail(ctx, "AddTags", params["Name"], keys))
    return demands


def _list_tags(ctx: Context, params: Params) -> Demands:
    names = dict.fromkeys(params["ResourceIdList"])
    return [_trail(ctx, "ListTags", name, {}) for name in names] or [Demand("cloudtrail:ListTags")]


def _request_tags(params: Params) -> Keys:
    tags = params.get("TagsList") or []
    keys: Keys = {f"aws:RequestTag/{tag['Key']}": (tag.get("Value", ""),) for tag in tags if tag.get("Key")}
    return {**keys, "aws:TagKeys": tuple(tag["Key"] for tag in tags if tag.get("Key"))} if tags else {}


def _readable(params: Params) -> None:
    """Texts that cannot be kept are refused. Unverified: what AWS says to this."""
    member = member_with_nul(params)
    if member is not None:
        raise ValidationFailed(f"The parameter {member} must not contain the character NUL.")


# -- the table --------------------------------------------------------------------------------------------------------

_DECIDED: Final = (
    *("Name", "S3BucketName", "S3KeyPrefix", "SnsTopicName", "IncludeGlobalServiceEvents", "IsMultiRegionTrail"),
    *(
        "EnableLogFileValidation",
        "CloudWatchLogsLogGroupArn",
        "CloudWatchLogsRoleArn",
        "KmsKeyId",
        "IsOrganizationTrail",
    ),
)
_SHOWN: Final = (
    *("Name", "S3BucketName", "S3KeyPrefix", "IncludeGlobalServiceEvents", "IsMultiRegionTrail", "TrailARN"),
    *("LogFileValidationEnabled", "IsOrganizationTrail"),
)
_SELECTORS: Final = ("EventSelectors", "AdvancedEventSelectors")

_DECLARED: Final[Mapping[str, tuple[Declare, tuple[str, ...], tuple[str, ...]]]] = {
    "AddTags": (_on_trail("AddTags", "ResourceId", _request_tags), ("ResourceId", "TagsList"), ()),
    "CreateTrail": (_create, (*_DECIDED, "TagsList"), _SHOWN),
    "DeleteTrail": (_on_trail("DeleteTrail"), ("Name",), ()),
    "DescribeTrails": (without_resource("DescribeTrails"), ("trailNameList", "includeShadowTrails"), ()),
    "GetEventSelectors": (_on_trail("GetEventSelectors", "TrailName"), ("TrailName",), ()),
    "GetTrail": (_on_trail("GetTrail"), ("Name",), ()),
    "GetTrailStatus": (_on_trail("GetTrailStatus"), ("Name",), ()),
    "ListPublicKeys": (without_resource("ListPublicKeys"), ("StartTime", "EndTime"), ()),
    "ListTags": (_list_tags, ("ResourceIdList",), ()),
    "ListTrails": (without_resource("ListTrails"), (), ()),
    "LookupEvents": (
        without_resource("LookupEvents"),
        ("LookupAttributes", "StartTime", "EndTime", "EventCategory", "MaxResults"),
        (),
    ),
    "PutEventSelectors": (
        _on_trail("PutEventSelectors", "TrailName"), ("TrailName", *_SELECTORS), ("TrailARN", *_SELECTORS)
    ),
    "RemoveTags": (_on_trail("RemoveTags", "ResourceId", _request_tags), ("ResourceId", "TagsList"), ()),
    "StartLogging": (_on_trail("StartLogging"), ("Name",), ()),
    "StopLogging": (_on_trail("StopLogging"), ("Name",), ()),
    "UpdateTrail": (_on_trail("UpdateTrail"), _DECIDED, _SHOWN),
}  # fmt: skip

_LOOKED_AT_BY_ITSELF: Final = frozenset({"LookupAttributes", "MaxResults", "EventCategory"})

ACCESS: Final[Mapping[str, Access]] = {
    name: Access(
        declare,
        recorded,
        answered,
        check=_readable,
        leave=_LOOKED_AT_BY_ITSELF if name == "LookupEvents" else frozenset(),
    )
    for name, (declare, recorded, answered) in _DECLARED.items()
}
