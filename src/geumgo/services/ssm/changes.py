"""What every change of a parameter has in common: the newest version, the event, the tags."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from geumgo.context import Params
from geumgo.domain import tags
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.ssm import store
from geumgo.services.ssm.errors import TooManyTags, ValidationFailed
from geumgo.services.ssm.records import Parameter, Version
from geumgo.storage import Tx

SOURCE: Final = "aws.ssm"
CHANGE: Final = "Parameter Store Change"


class Publish(Protocol):
    """`Context.publish`, or `Work.publish` with its transaction."""

    def __call__(self, source: str, detail_type: str, resources: Sequence[str], detail: Params) -> None: ...


def newest(tx: Tx, sealing: Sealing, parameter: Parameter) -> Version:
    """The newest version of a parameter. Raises Unsealable if somebody has taken it away."""
    version = store.find_version(tx, sealing, parameter, parameter.version)
    if version is None:
        raise Unsealable("a row of ssm_parameter_version was removed from outside")
    return version


def tell(publish: Publish, parameter: Parameter, operation: str, kind: str, description: str) -> None:
    """The event of a change. Source: "Event examples for Systems Manager", user guide."""
    detail: Params = {"operation": operation, "name": parameter.name, "type": kind}
    if description:
        detail["description"] = description
    publish(SOURCE, CHANGE, [parameter.arn], detail)


def merged_tags(present: Mapping[str, str], added: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The tags after `added` join them. Raises TooManyTags, ValidationFailed. Unverified: the messages."""
    try:
        return tags.merged_tags(present, added)
    except tags.TooManyTags:
        raise TooManyTags from None
    except tags.BadTags as fault:
        raise ValidationFailed(str(fault)) from None
