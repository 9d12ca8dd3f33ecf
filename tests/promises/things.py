"""Things that are changed step by step while the server is killed: what each must look like after each step, for whoever comes back later.

A thing is a secret, a key, a user or a parameter. Its states are plain values. A step that was acknowledged has happened, whole; the one that was under
way has happened whole or not at all; and to ask for it once more makes it happen once, but where AWS does again what is asked for again.
"""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

POLICY: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}]}
)
ABSENT: Final = None


@dataclass(frozen=True)
class Step:
    """`ask` sends it; `after` is the state that it leads to; `done_before` are the refusals that say that it has happened.

    What `repeats` has no token: asked for again, it is done again.
    """

    ask: Callable[[], Any]
    after: Any
    done_before: tuple[str, ...] = ()
    repeats: bool = False


class Thing(ABC):
    """One thing and the story of it. `acknowledged` of its `steps` were answered."""

    def __init__(self, clients: Callable[[str], Any], name: str) -> None:
        self.clients, self.name = clients, name
        self.acknowledged = 0
        self.steps = self.story()

    @abstractmethod
    def story(self) -> list[Step]: ...

    @abstractmethod
    def seen(self) -> Any:
        """The state as anybody sees it now. ABSENT: there is no such thing."""

    def go(self) -> None:
        """Take the next step."""
        self.steps[self.acknowledged].ask()
        self.acknowledged += 1

    @property
    def over(self) -> bool:
        return self.acknowledged == len(self.steps)

    def state(self, steps: int) -> Any:
        return self.steps[steps - 1].after if steps else ABSENT

    def problem(self) -> str:
        """What is wrong with it now that the server is back; empty if nothing is. The step that was under way is taken again.

        One that repeats is taken again only if it has not happened.
        """
        seen, done = self.seen(), self.acknowledged
        if seen != self.state(done) and (self.over or seen != self.state(done + 1)):
            return f"after {done} acknowledged steps it is {seen}, not {self.state(done)}"
        if self.over:
            return ""
        step = self.steps[done]
        if step.repeats and seen == step.after:
            return ""
        try:
            step.ask()
        except ClientError as refusal:
            if seen != step.after or refusal.response["Error"]["Code"] not in step.done_before:
                return f"step {done + 1}, asked for again: {refusal}"
        return "" if self.seen() == step.after else f"step {done + 1}, asked for again, leads to {self.seen()}"


@dataclass(frozen=True)
class SecretState:
    """`values` are those of the versions, from the oldest to the newest; a label is on the n-th of them."""

    values: tuple[str, ...]
    labels: tuple[tuple[str, int], ...]
    tags: tuple[str, ...] = ()
    deleted: bool = False


class SecretThing(Thing):
    def story(self) -> list[Step]:
        tokens = [str(uuid.uuid4()) for _ in range(3)]
        self.tokens = tokens
        sm = self.clients("secretsmanager")
        one = SecretState(("value-0",), (("AWSCURRENT", 0),))
        two = SecretState(("value-0", "value-1"), (("AWSCURRENT", 1), ("AWSPREVIOUS", 0)))
        tagged = replace(two, tags=("kept",))
        staged = replace(tagged, labels=(("AWSCURRENT", 1), ("AWSPREVIOUS", 0), ("mine", 0)))
        labels = (("AWSCURRENT", 2), ("AWSPREVIOUS", 1), ("mine", 0))
        three = replace(staged, values=("value-0", "value-1", "value-2"), labels=labels)
        untagged = replace(three, tags=())
        put = partial(sm.put_secret_value, SecretId=self.name)
        return [
            Step(partial(sm.create_secret, Name=self.name, SecretString="value-0", ClientRequestToken=tokens[0]), one),
            Step(partial(put, SecretString="value-1", ClientRequestToken=tokens[1]), two),
            Step(partial(sm.tag_resource, SecretId=self.name, Tags=[{"Key": "kept", "Value": "예"}]), tagged),
            Step(
                partial(
                    sm.update_secret_version_stage,
                    SecretId=self.name,
                    VersionStage="mine",
                    MoveToVersionId=tokens[0],
                ),
                staged,
                ("InvalidParameterException",),  # AWS wants to be told from where, once it is somewhere
            ),
            Step(partial(put, SecretString="value-2", ClientRequestToken=tokens[2]), three),
            Step(partial(sm.untag_resource, SecretId=self.name, TagKeys=["kept"]), untagged),
            Step(
                partial(sm.delete_secret, SecretId=self.name, RecoveryWindowInDays=7),
                replace(untagged, deleted=True),
                ("InvalidRequestException",),
            ),
            Step(partial(sm.restore_secret, SecretId=self.name), untagged),
        ]

    def seen(self) -> Any:
        sm = self.clients("secretsmanager")
        try:
            found = sm.describe_secret(SecretId=self.name)
        except sm.exceptions.ResourceNotFoundException:
            return ABSENT
        versions = sm.list_secret_version_ids(SecretId=self.name, IncludeDeprecated=True)["Versions"]
        there = {version["VersionId"]: version.get("VersionStages", []) for version in versions}
        known = [token for token in self.tokens if token in there]
        if len(known) != len(there):
            return f"versions that nobody has made: {sorted(there)}"
        deleted = "DeletedDate" in found
        at_rest = self.state(self.acknowledged)
        values = tuple(at_rest.values) if deleted else tuple(self._value(token) for token in known)
        labels = sorted((label, known.index(token)) for token, stages in there.items() for label in stages)
        tags = tuple(sorted(tag["Key"] for tag in found.get("Tags", [])))
        return SecretState(values, tuple(labels), tags, deleted)

    def _value(self, token: str) -> str:
        value: str = self.clients("secretsmanager").get_secret_value(SecretId=self.name, VersionId=token)[
            "SecretString"
        ]
        return value


class KeyThing(Thing):
    """A customer managed key, known by its alias: made for nobody until it has one."""

    def story(self) -> list[Step]:
        kms = self.clients("kms")
        made: list[str] = []

        def create() -> None:
            made.append(kms.create_key(Description=self.name)["KeyMetadata"]["KeyId"])

        def of_key(operation: str, **params: Any) -> Callable[[], Any]:
            return lambda: getattr(kms, operation)(KeyId=made[-1], **params)

        return [
            Step(create, ABSENT),
            Step(
                lambda: kms.create_alias(AliasName=f"alias/{self.name}", TargetKeyId=made[-1]),
                ("Enabled", self.name),
                ("AlreadyExistsException",),
            ),
            Step(of_key("disable_key"), ("Disabled", self.name)),
            Step(of_key("update_key_description", Description="other"), ("Disabled", "other")),
            Step(
                of_key("schedule_key_deletion", PendingWindowInDays=7),
                ("PendingDeletion", "other"),
                ("KMSInvalidStateException",),
            ),
            Step(of_key("cancel_key_deletion"), ("Disabled", "other"), ("KMSInvalidStateException",)),
            Step(of_key("enable_key"), ("Enabled", "other")),
        ]

    def seen(self) -> Any:
        kms = self.clients("kms")
        try:
            found = kms.describe_key(KeyId=f"alias/{self.name}")["KeyMetadata"]
        except kms.exceptions.NotFoundException:
            return ABSENT
        return found["KeyState"], found["Description"]


class UserThing(Thing):
    """A user: (his policy's names, his groups)."""

    def story(self) -> list[Step]:
        iam = self.clients("iam")
        policy = {"UserName": self.name, "PolicyName": "p"}
        gone = ("NoSuchEntity",)
        return [
            Step(partial(iam.create_user, UserName=self.name), ((), ()), ("EntityAlreadyExists",)),
            Step(partial(iam.put_user_policy, **policy, PolicyDocument=POLICY), (("p",), ())),
            Step(partial(iam.create_group, GroupName=self.name), (("p",), ()), ("EntityAlreadyExists",)),
            Step(partial(iam.add_user_to_group, UserName=self.name, GroupName=self.name), (("p",), (self.name,))),
            Step(partial(iam.delete_user_policy, **policy), ((), (self.name,)), gone),
            Step(partial(iam.remove_user_from_group, UserName=self.name, GroupName=self.name), ((), ()), gone),
            Step(partial(iam.delete_user, UserName=self.name), ABSENT, gone),
        ]

    def seen(self) -> Any:
        iam = self.clients("iam")
        try:
            policies = iam.list_user_policies(UserName=self.name)["PolicyNames"]
        except iam.exceptions.NoSuchEntityException:
            return ABSENT
        groups = iam.list_groups_for_user(UserName=self.name)["Groups"]
        return tuple(policies), tuple(group["GroupName"] for group in groups)


@dataclass(frozen=True)
class ParameterState:
    """`values` are those of the versions, the first one first; a label is on the n-th of them."""

    values: tuple[str, ...]
    labels: tuple[tuple[str, int], ...] = ()
    tags: tuple[str, ...] = ()


class ParameterThing(Thing):
    def story(self) -> list[Step]:
        ssm = self.clients("ssm")
        put = partial(ssm.put_parameter, Name=self.name, Type="SecureString")
        label = partial(ssm.label_parameter_version, Name=self.name, Labels=["mine"])
        tags = {"ResourceType": "Parameter", "ResourceId": self.name}
        one = ParameterState(("value-0",))
        two = ParameterState(("value-0", "value-1"))
        labelled = replace(two, labels=(("mine", 0),))
        tagged = replace(labelled, tags=("kept",))
        three = replace(tagged, values=("value-0", "value-1", "value-2"))
        moved = replace(three, labels=(("mine", 2),))
        return [
            Step(partial(put, Value="value-0"), one, ("ParameterAlreadyExists",)),
            Step(partial(put, Value="value-1", Overwrite=True), two, repeats=True),
            Step(partial(label, ParameterVersion=1), labelled),
            Step(partial(ssm.add_tags_to_resource, **tags, Tags=[{"Key": "kept", "Value": "예"}]), tagged),
            Step(partial(put, Value="value-2", Overwrite=True), three, repeats=True),
            Step(partial(label, ParameterVersion=3), moved),
            Step(
                partial(ssm.unlabel_parameter_version, Name=self.name, ParameterVersion=3, Labels=["mine"]),
                replace(moved, labels=()),
            ),
            Step(partial(ssm.remove_tags_from_resource, **tags, TagKeys=["kept"]), replace(moved, labels=(), tags=())),
            Step(partial(ssm.delete_parameter, Name=self.name), ABSENT, ("ParameterNotFound",)),
        ]

    def seen(self) -> Any:
        ssm = self.clients("ssm")
        try:
            versions = ssm.get_parameter_history(Name=self.name, WithDecryption=True)["Parameters"]
        except ssm.exceptions.ParameterNotFound:
            return ABSENT
        numbers = [version["Version"] for version in versions]
        if numbers != list(range(1, len(versions) + 1)):
            return f"versions that nobody has made: {numbers}"
        labels = sorted((label, version["Version"] - 1) for version in versions for label in version["Labels"])
        found = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=self.name)["TagList"]
        values = tuple(version["Value"] for version in versions)
        return ParameterState(values, tuple(labels), tuple(sorted(tag["Key"] for tag in found)))


KINDS: Final[tuple[type[Thing], ...]] = (
    *(SecretThing, SecretThing, SecretThing, KeyThing),
    *(KeyThing, UserThing, ParameterThing, ParameterThing),
)
