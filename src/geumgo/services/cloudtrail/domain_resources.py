"""What a record touched, as LookupEvents shows and finds it. Pure.

AWS keeps a table of its own of which request parameter names which resource, and does not publish it whole. This one is for the services
that are served here. Source: the examples of "Viewing events with CloudTrail event history", CloudTrail User Guide.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

MOST_RESOURCES: Final = 64  # of one record
LONGEST_NAME: Final = 2_048  # characters

_SECRET_ARN: Final = re.compile(r"arn:[^:]*:secretsmanager:[^:]*:\d{12}:secret:(.+)-[A-Za-z0-9]{6}")

_PARAMETERS: Final[Mapping[str, Mapping[str, str]]] = {
    "cloudtrail.amazonaws.com": {"name": "AWS::CloudTrail::Trail", "trailName": "AWS::CloudTrail::Trail"},
    "config.amazonaws.com": {"configRuleName": "AWS::Config::ConfigRule"},
    "events.amazonaws.com": {
        "name": "AWS::Events::Rule",
        "rule": "AWS::Events::Rule",
        "eventBusName": "AWS::Events::EventBus",
    },
    "iam.amazonaws.com": {
        "accessKeyId": "AWS::IAM::AccessKey",
        "groupName": "AWS::IAM::Group",
        "instanceProfileName": "AWS::IAM::InstanceProfile",
        "policyArn": "AWS::IAM::Policy",
        "roleName": "AWS::IAM::Role",
        "userName": "AWS::IAM::User",
    },
    "kms.amazonaws.com": {"keyId": "AWS::KMS::Key", "targetKeyId": "AWS::KMS::Key", "aliasName": "AWS::KMS::Alias"},
    "lambda.amazonaws.com": {"functionName": "AWS::Lambda::Function"},
    "secretsmanager.amazonaws.com": {
        "secretId": "AWS::SecretsManager::Secret",
        "secretIdList": "AWS::SecretsManager::Secret",
        "SecretId": "AWS::SecretsManager::Secret",
        "name": "AWS::SecretsManager::Secret",
        "arn": "AWS::SecretsManager::Secret",
    },
    "ssm.amazonaws.com": {"name": "AWS::SSM::Parameter", "names": "AWS::SSM::Parameter"},
    "sts.amazonaws.com": {"roleArn": "AWS::IAM::Role"},
}


class Resource(NamedTuple):
    """A thing that a record speaks of. `type` may be empty: not known."""

    type: str
    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """What it is found by: its name as the record has it; of the ARN of a secret, the secret's name too."""
        secret = _SECRET_ARN.fullmatch(self.name) if ":secret:" in self.name else None
        return (self.name, secret[1]) if secret is not None else (self.name,)


def found_by(name: str) -> str:
    """What is looked for in place of a resource's name: of the ARN of a secret, the secret's name."""
    while ":secret:" in name and (secret := _SECRET_ARN.fullmatch(name)) is not None:
        name = secret[1]
    return name


def naming_members(source: str) -> tuple[str, ...]:
    """The members of parameters, answers and details whose values name resources of a service."""
    return tuple(_PARAMETERS.get(source, ()))


def resources_of(record: Mapping[str, Any]) -> tuple[Resource, ...]:
    """What the record touched: what it lists itself, then what its parameters, its answer and its details name. Each once."""
    found = dict.fromkeys(resource for resource in _named(record) if 0 < len(resource.name) <= LONGEST_NAME)
    return tuple(found)[:MOST_RESOURCES]


def _named(record: Mapping[str, Any]) -> Iterator[Resource]:
    for resource in record.get("resources") or ():
        yield Resource(str(resource.get("type", "")), str(resource.get("ARN", "")))
    types = _PARAMETERS.get(record.get("eventSource", ""))
    if types is None:
        return
    for part in ("requestParameters", "responseElements", "additionalEventData"):
        values = record.get(part)
        if not isinstance(values, dict) or types.keys().isdisjoint(values):
            continue
        for member, kind in types.items():
            value = values.get(member)
            for name in value if isinstance(value, list) else (value,):
                if isinstance(name, str):
                    yield Resource(kind, name)
