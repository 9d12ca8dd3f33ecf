"""What there is to be judged. Config asks Secrets Manager and KMS as the recorder's role: what that role may not see is not judged."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from geumgo.context import Params, Work
from geumgo.errors import ServiceError
from geumgo.services.config.domain_items import Seen
from geumgo.services.config.domain_rules import SecretFacts
from geumgo.services.config.records import PARAMETER, Recorder

_PAGE: Final = 100


@dataclass(slots=True)
class Inventory:
    """What one job has asked for. `keys`: also which KMS key each secret names; each key is asked for once."""

    work: Work
    recorder: Recorder
    keys: bool
    _known: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def secrets(self) -> Iterator[SecretFacts]:
        """Every secret of the place but those that wait for their deletion. Raises refusals of STS and Secrets Manager."""
        token: Params = {}
        while True:
            page = self.work.call(
                "secretsmanager", "ListSecrets", role_arn=self.recorder.role_arn, MaxResults=_PAGE, **token
            )
            for entry in page["SecretList"]:
                yield self._with_key(facts_of(entry))
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}

    def secret(self, secret_id: str) -> SecretFacts | None:
        """The secret; None if it is gone, or waits for its deletion. Raises refusals of STS and Secrets Manager."""
        try:
            entry = self.work.call(
                "secretsmanager", "DescribeSecret", role_arn=self.recorder.role_arn, SecretId=secret_id
            )
        except ServiceError as refusal:
            if refusal.code == "ResourceNotFoundException":
                return None
            raise
        return None if "DeletedDate" in entry else self._with_key(facts_of(entry))

    def parameters(self) -> Iterator[Seen]:
        """Every parameter of the place. Raises refusals of STS and Systems Manager."""
        token: Params = {}
        while True:
            page = self.work.call("ssm", "DescribeParameters", role_arn=self.recorder.role_arn, MaxResults=50, **token)
            yield from map(parameter_of, page["Parameters"])
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}

    def parameter(self, name: str) -> Seen | None:
        """The parameter; None if it is gone. Raises refusals of STS and Systems Manager."""
        wanted = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        page = self.work.call("ssm", "DescribeParameters", role_arn=self.recorder.role_arn, ParameterFilters=wanted)
        return next((parameter_of(each) for each in page["Parameters"]), None)

    def _with_key(self, facts: SecretFacts) -> SecretFacts:
        named = facts.kms_key
        if not self.keys or named is None:
            return facts
        if named not in self._known:
            self._known[named] = self._key(named)
        key, is_aws = self._known[named]
        return replace(facts, kms_key=key, aws_key=is_aws)

    def _key(self, named: str) -> tuple[str, bool]:
        """The ARN of the key, and whether it is one of AWS's. A key that may not be looked at, or is gone, is what the secret calls it."""
        try:
            found = self.work.call("kms", "DescribeKey", role_arn=self.recorder.role_arn, KeyId=named)["KeyMetadata"]
        except ServiceError:
            return named, False
        return found["Arn"], found.get("KeyManager") == "AWS"


def parameter_of(entry: Params) -> Seen:
    """What DescribeParameters says of a parameter. Who changed it last is no configuration."""
    said: Params = {
        name: entry[name]
        for name in ("Name", "Type", "KeyId", "Description", "Version", "Tier", "DataType")
        if name in entry
    }
    if entry.get("Policies"):
        said["Policies"] = [each.get("PolicyType", "") for each in entry["Policies"]]
    return Seen(PARAMETER, entry["Name"], entry["Name"], None, {}, said)


def facts_of(entry: Params) -> SecretFacts:
    """What ListSecrets or DescribeSecret says of a secret."""
    created = _ms(entry["CreatedDate"])
    assert created is not None, "every secret was created"
    return SecretFacts(
        arn=entry["ARN"],
        name=entry["Name"],
        created_at_ms=created,
        changed_at_ms=_ms(entry.get("LastChangedDate")) or created,
        accessed_at_ms=_ms(entry.get("LastAccessedDate")),
        rotated_at_ms=_ms(entry.get("LastRotatedDate")),
        next_rotation_at_ms=_ms(entry.get("NextRotationDate")),
        rotates=bool(entry.get("RotationEnabled", False)),
        rotation=entry.get("RotationRules"),
        kms_key=entry.get("KmsKeyId"),
        named_key=entry.get("KmsKeyId"),
        description=entry.get("Description"),
        tags={tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags", [])},
    )


def _ms(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)
