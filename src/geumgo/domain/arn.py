"""Amazon Resource Names, taken apart and put together."""

from typing import NamedTuple


class NotAnArn(ValueError):
    """The text has not the six parts of an ARN."""


class Arn(NamedTuple):
    """`arn:partition:service:region:account:resource`. Region and account may be empty; the resource may hold colons and slashes.

    Source: "Identify AWS resources with Amazon Resource Names", IAM user guide.
    """

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def resource_type(self) -> str:
        """What stands before the first `/` or `:` of the resource: "secret", "role", "key"; empty if there is neither."""
        return self.resource[: self._cut()] if self._cut() < len(self.resource) else ""

    @property
    def resource_id(self) -> str:
        """What stands after the first `/` or `:` of the resource, or the whole resource if there is neither."""
        return self.resource[self._cut() + 1 :] if self._cut() < len(self.resource) else self.resource

    def _cut(self) -> int:
        whole = len(self.resource)
        return min(at if at >= 0 else whole for at in (self.resource.find("/"), self.resource.find(":")))


def split_arn(text: str) -> Arn | None:
    """The parts of an ARN, or None if `text` is none: it must begin with `arn:` and have a partition, a service and a resource."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not (parts[1] and parts[2] and parts[5]):
        return None
    return Arn(*parts[1:])


def parse_arn(text: str) -> Arn:
    """The parts of an ARN.

    Raises:
        NotAnArn: `text` is none.
    """
    arn = split_arn(text)
    if arn is None:
        raise NotAnArn(text)
    return arn
