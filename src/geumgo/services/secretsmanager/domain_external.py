"""Managed external secrets: the partners' types, what their values hold, what their rotation must be told. Pure.

Source: "Managed external secret partners", Secrets Manager User Guide. Unverified: the messages, and which metadata may be left out.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from geumgo.domain.arn import split_arn
from geumgo.services.secretsmanager.errors import InvalidParameter

Check = Callable[[str], bool]


class Partner(NamedTuple):
    """`keys` are in the value's JSON; `needs` and `takes` are the metadata that must and may be said, with what they may be.

    `most_days` is the longest interval between rotations; None: there is no such bound.
    """

    name: str
    keys: tuple[str, ...]
    needs: Mapping[str, Check] = {}
    takes: Mapping[str, Check] = {}
    most_days: int | None = None


def _anything(text: str) -> bool:
    return bool(text)


def _secret(text: str) -> bool:
    arn = split_arn(text)
    return arn is not None and arn.service == "secretsmanager" and arn.resource.startswith("secret:")


def _from_to(low: int, high: int) -> Check:
    return lambda text: text.isascii() and text.isdigit() and low <= int(text[:9]) <= high and len(text) < 10


def _one_of(*texts: str) -> Check:
    return lambda text: text in texts


_ADMIN: Final = {"adminSecretArn": _secret}
_DAYS: Final = {"daysToExpiry": _from_to(1, 365)}
_DATADOG: Final = ("appKey", "appKeyId", "serviceAccountId")

PARTNERS: Final[Mapping[str, Partner]] = {
    "SalesforceClientSecret": Partner(
        "Salesforce",
        ("consumerKey", "consumerSecret", "baseUri", "appId", "consumerId"),
        needs={**_ADMIN, "apiVersion": _anything},
    ),
    "SnowflakeKeyPairAuthentication": Partner(
        "Snowflake",
        ("account", "user", "privateKey", "publicKey"),
        takes={
            "cryptographicAlgorithm": _one_of("RS256", "RS384", "RS512"),
            "encryptPrivateKey": _one_of("true", "false"),
        },
    ),
    "SnowflakePat": Partner(
        "Snowflake",
        ("account", "user", "privateKey", "patTokenName", "patTokenValue"),
        takes={**_DAYS, "expireOldTokenAfterHours": _from_to(0, 720)},
    ),
    "BigIDClientSecret": Partner("BigID", ("hostname", "refreshToken")),
    "ConfluentCloudApiKey": Partner(
        "Confluent Cloud", ("apiKey", "apiSecret", "serviceAccountId", "resourceId", "environmentId"), takes=_ADMIN
    ),
    "MongoDBAtlasServiceAccount": Partner(
        "MongoDB Atlas", ("clientId", "clientSecret", "orgId"), takes={**_ADMIN, "apiVersion": _anything}
    ),
    "MongoDBAtlasDatabaseUser": Partner(
        "MongoDB Atlas",
        ("username", "password", "clusterUrl", "databaseName", "groupId"),
        needs=_ADMIN,
        takes={"apiVersion": _anything},
    ),
    "DatadogApiKey": Partner("Datadog", ("apiKey", "apiKeyId"), needs=_ADMIN),
    "DatadogApplicationKey": Partner("Datadog", _DATADOG, needs=_ADMIN),
    "DatadogAdminKey": Partner(
        "Datadog", ("adminApiKey", "adminApiKeyId", "adminAppKey", "adminAppKeyId", "serviceAccountId", "site")
    ),
    "PaddleApiKey": Partner("Paddle", ("api_key",), takes={"gracePeriodSeconds": _from_to(0, 86_400)}),
    "CiscoSecurityPlatformApiKey": Partner(
        "Cisco Security", ("refreshToken", "organizationId", "apiKeyId", "apiBaseUrl"), most_days=50
    ),
    "GitLabAccessToken": Partner("GitLab", ("token", "tokenId", "gitlabUrl"), takes={**_ADMIN, **_DAYS}),
    "JenkinsApiToken": Partner("Jenkins", ("apiToken", "tokenUuid", "username", "jenkinsUrl"), takes=_ADMIN),
    "NetskopeApiToken": Partner("Netskope", ("apiToken", "tenantUrl", "serviceAccountName"), most_days=350),
    "SonarQubeToken": Partner("SonarQube", ("token", "tokenName", "login", "sonarqubeUrl"), takes=_ADMIN),
}
_HOURS_OF_A_DAY: Final = 24


def refuse_type(secret_type: str) -> None:
    """Raises InvalidParameter unless it is the type of a partner."""
    if secret_type not in PARTNERS:
        raise InvalidParameter(f"The secret type {secret_type} is not one of a managed external secret.")


def metadata_of(items: Sequence[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """Pairs, in the order in which they were given. Raises InvalidParameter."""
    for item in items:
        if "Key" not in item or "Value" not in item:
            raise InvalidParameter("Each item of ExternalSecretRotationMetadata must have a Key and a Value.")
    pairs = tuple((item["Key"], item["Value"]) for item in items)
    if len({key for key, _ in pairs}) < len(pairs):
        raise InvalidParameter("A Key of ExternalSecretRotationMetadata occurs more than once.")
    return pairs


def refuse_metadata(secret_type: str, metadata: Sequence[tuple[str, str]]) -> None:
    """Raises InvalidParameter unless the partner is told what it must be, and nothing that it does not know."""
    partner, told = PARTNERS[secret_type], dict(metadata)
    missing = sorted(set(partner.needs) - set(told))
    if missing:
        raise InvalidParameter(
            f"ExternalSecretRotationMetadata of a {secret_type} secret must have {', '.join(missing)}."
        )
    known = {**partner.needs, **partner.takes}
    for key, value in told.items():
        if key not in known:
            raise InvalidParameter(f"ExternalSecretRotationMetadata of a {secret_type} secret has no {key}.")
        if not known[key](value):
            raise InvalidParameter(f"The {key} of ExternalSecretRotationMetadata is not valid.")


def refuse_interval(secret_type: str, rules: Mapping[str, Any]) -> None:
    """Raises InvalidParameter if the partner's keys would expire before they are rotated. A cron expression is not counted."""
    most_days, days = PARTNERS[secret_type].most_days, rules.get("AutomaticallyAfterDays")
    expression = rules.get("ScheduleExpression", "")
    if expression.startswith("rate("):
        number, unit = expression.removeprefix("rate(").rstrip(")").split()
        days = int(number) / (_HOURS_OF_A_DAY if unit.startswith("hour") else 1)
    if most_days is not None and days is not None and days > most_days:
        raise InvalidParameter(f"A {secret_type} secret must be rotated every {most_days} days at least.")


def lacking(secret_type: str, value: str) -> str:
    """What the value lacks, as a sentence without any of it; empty: nothing."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return f"The value of a {secret_type} secret is a JSON object, and this is none."
    missing = [key for key in PARTNERS[secret_type].keys if not isinstance(found.get(key), str) or not found[key]]
    return f"The value of the {secret_type} secret has no {', '.join(missing)}." if missing else ""
