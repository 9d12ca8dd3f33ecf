"""The rules of parameters as pure functions: names, references to them, selectors, labels, tiers, sizes.

Source: PutParameter, API reference; "Requirements and constraints for parameter names", user guide. Messages: moto, unless said.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from geumgo.domain.arn import split_arn
from geumgo.domain.storable import member_with_nul
from geumgo.services.ssm.errors import (
    AccessDenied,
    HierarchyLevelLimitExceeded,
    ParameterVersionLabelLimitExceeded,
    ValidationFailed,
)
from geumgo.services.ssm.records import ADVANCED, INTELLIGENT, STANDARD, Tier

KEPT_VERSIONS: Final = 100
MOST_LABELS: Final = 10  # of one version
MOST_LEVELS: Final = 15
LONGEST_ARN: Final = 1011  # characters, of the whole ARN of a parameter
LARGEST_VALUE_BYTES: Final[Mapping[Tier, int]] = {"Standard": 4096, "Advanced": 8192}
DEFAULT_KEY: Final = "alias/aws/ssm"
SECRETS: Final = "/aws/reference/secretsmanager/"
"""A name that begins so means a secret of Secrets Manager."""

# -- names ------------------------------------------------------------------------------------------------------------

_NAME: Final = re.compile(r"/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*/?)?")
_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)

_SUB_PATHS: Final = (
    "If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of "
    "letters, numbers and the following 3 symbols .-_"
)
_PATH_RULE: Final = (
    'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/". '
    'It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following '
    "symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must "
    'use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.'
)


def bad_name() -> ValidationFailed:
    return ValidationFailed(f'Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive). {_SUB_PATHS}')


def path_of(name: str) -> str:
    """The name with its leading slash: `a` and `/a` are one parameter. Source: recorded on AWS by moto's authors."""
    return name if name.startswith("/") else f"/{name}"


def parent_of(path: str) -> str:
    """The path of the level that `path` lies in."""
    return path[: path.rindex("/")] or "/"


def refuse_name(name: str) -> None:
    """Raises ValidationFailed unless there can be a parameter called `name`."""
    if not _NAME.fullmatch(name):
        raise bad_name()
    if "/" in name and not name.startswith("/"):
        raise ValidationFailed("Parameter name must be a fully qualified name.")


def refuse_new_name(name: str, prefix: str) -> None:
    """Raises unless a parameter may be made under this name, whose ARN begins with `prefix`.

    Raises AccessDenied for a reserved name, HierarchyLevelLimitExceeded, ValidationFailed. Unverified: the message for a long name.
    """
    bare, is_path = name.lower().removeprefix("/"), name.startswith("/")
    if bare.startswith(("aws", "ssm")):
        if is_path and "/" in bare and bare.startswith("aws"):
            raise AccessDenied(f"No access to reserved parameter name: {name}.")
        if is_path and "/" in bare:
            raise ValidationFailed(f'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). {_SUB_PATHS}')
        raise bad_name()
    refuse_name(name)
    if len(path_of(name).split("/")) - 1 > MOST_LEVELS:
        raise HierarchyLevelLimitExceeded
    if len(prefix) + len(path_of(name)) > LONGEST_ARN:
        raise ValidationFailed(
            f"The parameter name is too long: with its ARN it can have a maximum of {LONGEST_ARN} characters."
        )


def refuse_path(path: str) -> None:
    """Raises ValidationFailed unless parameters can be looked for under `path`."""
    if not _PATH.fullmatch(path):
        raise ValidationFailed(_PATH_RULE)


def level_of(path: str) -> str:
    """The path as `parent_of` spells it: without a slash at its end."""
    return path.rstrip("/") or "/"


def refuse_unstorable(params: Mapping[str, Any]) -> None:
    """Raises ValidationFailed if a text of the request holds NUL. Unverified: what AWS says to this."""
    member = member_with_nul(params)
    if member is not None:
        raise ValidationFailed(f"The parameter {member} must not contain the character NUL.")


# -- references -------------------------------------------------------------------------------------------------------


class Reference(NamedTuple):
    """What a name in a request means. `name` is without selector; `selector` is without its colon, or None."""

    partition: str
    account: str
    region: str
    name: str
    selector: str | None
    is_arn: bool

    @property
    def path(self) -> str:
        return path_of(self.name)

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:ssm:{self.region}:{self.account}:parameter{self.path}"

    @property
    def means_a_secret(self) -> bool:
        return self.path.startswith(SECRETS)


def bad_selector() -> ValidationFailed:
    """Source: as users of AWS report it, both spaces included."""
    return ValidationFailed(
        "Invalid parameter name. Please use correct syntax for referencing a version/label  <name>:<version/label>"
    )


def parse_reference(text: str, *, partition: str, account: str, region: str) -> Reference:
    """What `text` means: a name, an ARN, either with `:version` or `:label` behind it. Spaces around it do not count.

    Every spelling of one parameter leads to one path. Raises ValidationFailed for what no parameter can be called.
    """
    text = text.strip(" ")
    is_arn = text.startswith("arn:")
    if is_arn:
        arn = split_arn(text)
        if arn is None or arn.service != "ssm" or not _ACCOUNT.fullmatch(arn.account) or not arn.region:
            raise bad_name()
        kind, slash, rest = arn.resource.partition("/")
        if kind != "parameter" or not slash:
            raise bad_name()
        partition, account, region, text = arn.partition, arn.account, arn.region, f"/{rest}"
    name, colon, selector = text.partition(":")
    if colon and (not selector or ":" in selector):
        raise bad_selector()
    if path_of(name).startswith(SECRETS):
        if len(path_of(name)) == len(SECRETS):
            raise bad_selector()
    else:
        refuse_name(name)
    return Reference(partition, account, region, name, selector or None, is_arn)


def number_of(selector: str) -> int | None:
    """The version that a selector names, or None if it is a label."""
    if not (selector.isascii() and selector.isdecimal()):
        return None
    return int(selector) if len(selector) <= 18 else 0  # there is no version 0


# -- labels -----------------------------------------------------------------------------------------------------------

_LABEL: Final = re.compile(r"(?!aws|ssm)[A-Za-z_.-][A-Za-z0-9_.-]{0,99}", re.ASCII | re.IGNORECASE)


def invalid_labels(labels: Iterable[str]) -> list[str]:
    """Those of `labels` that nothing can be labelled with. Source: LabelParameterVersion, API reference."""
    return [label for label in labels if not _LABEL.fullmatch(label)]


def moved(labels: Mapping[str, int], wanted: Iterable[str], number: int) -> dict[str, int]:
    """The labels after version `number` takes `wanted` from whoever wears them. Raises ParameterVersionLabelLimitExceeded."""
    after = {**labels, **dict.fromkeys(wanted, number)}
    if sum(worn_by == number for worn_by in after.values()) > MOST_LABELS:
        raise ParameterVersionLabelLimitExceeded
    return after


# -- values and tiers -------------------------------------------------------------------------------------------------


def refuse_value(value: str) -> None:
    """Raises ValidationFailed for a value that no parameter can have. It is not repeated."""
    if not value:
        raise ValidationFailed(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length "
            "greater than or equal to 1."
        )
    if "\0" in value:
        raise ValidationFailed("The parameter Value must not contain the character NUL.")
    opened = value.find("{{")
    if opened >= 0 and "}}" in value[opened:]:
        raise ValidationFailed('Parameter value can\'t nest another parameter. Do not use "{{}}" in the value.')


def choose_tier(wanted: str, present: Tier | None, *, size_bytes: int, needs_advanced: bool) -> Tier:
    """The tier of a parameter that is put. `wanted` is what the request or, without a word, the default tier asks for.

    A parameter that is advanced stays so. `needs_advanced`: it has a policy, or a data type that only advanced ones have.

    Raises ValidationFailed. Source: "Managing parameter tiers", user guide; the messages as users of AWS report them. Unverified: the
    messages for advanced parameters; that sizes are counted in bytes of UTF-8. There is no limit on the number of parameters here, so
    Intelligent-Tiering does not look at it.
    """
    large = size_bytes > LARGEST_VALUE_BYTES["Standard"]
    tier: Tier = "Advanced" if wanted == ADVANCED else "Standard"
    if wanted == INTELLIGENT and (large or needs_advanced or present == ADVANCED):
        tier = "Advanced"
    if tier == STANDARD and present == ADVANCED:
        raise ValidationFailed(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter "
            "tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a "
            "standard parameter. Be aware that standard parameters have a value limit of 4096 characters."
        )
    if size_bytes > LARGEST_VALUE_BYTES[tier]:
        raise _too_large(tier)
    return tier


def _too_large(tier: Tier) -> ValidationFailed:
    if tier == STANDARD:
        return ValidationFailed(
            "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter "
            "value, upgrade the parameter to use the advanced-parameter tier. For more information, see "
            "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
        )
    return ValidationFailed("Advanced tier parameters support a maximum parameter value of 8192 characters.")
