"""The rules of EventBridge that need nothing but values."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from geumgo.domain.arn import split_arn

# Source: TestEventPattern, API reference: what an event must have
MANDATORY: Final = ("id", "account", "source", "time", "region", "resources", "detail-type")


class InvalidEnvelope(Exception):
    """The text is no event. The message says why, in a plain sentence without what the text holds."""


def read_event(text: str) -> dict[str, Any]:
    """The event that `text` is, with all that an event must have. Raises InvalidEnvelope."""
    try:
        event = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidEnvelope("it is not JSON.") from None
    if not isinstance(event, dict):
        raise InvalidEnvelope("it is not a JSON object.")
    missing = [name for name in MANDATORY if name not in event]
    if missing:
        raise InvalidEnvelope(f"it has no {', '.join(missing)}.")
    return event


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# -- names ------------------------------------------------------------------------------------------------------------


class InvalidName(Exception):
    """The text names no such thing."""


@dataclass(frozen=True, slots=True)
class BusName:
    """Which bus is meant. `account` and `region` are the caller's own if he named it without its ARN."""

    account: str
    region: str
    name: str


def read_bus(text: str, *, account: str, region: str) -> BusName:
    """The bus that a name or an ARN means. Raises InvalidName."""
    if not text.startswith("arn:"):
        return BusName(account, region, text)
    arn = split_arn(text)
    if arn is None or arn.service != "events" or arn.resource_type != "event-bus" or not arn.resource_id:
        raise InvalidName(text)
    return BusName(arn.account, arn.region, arn.resource_id)


def rule_resource(bus: str, rule: str) -> str:
    """What stands at the end of a rule's ARN. Source: Service Authorization Reference (rule-on-default- and rule-on-custom-event-bus)."""
    return f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}"


def read_rule_resource(resource: str) -> tuple[str, str]:
    """Bus and name of the rule whose ARN ends with `resource`. Raises InvalidName."""
    kind, _, rest = resource.partition("/")
    bus, mark, name = rest.rpartition("/")
    if kind != "rule" or not name or (mark and not bus):
        raise InvalidName(resource)
    return bus or "default", name


def texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)


# -- events -----------------------------------------------------------------------------------------------------------

LARGEST_ENTRIES: Final = (
    262_144  # bytes of all entries of a PutEvents together. Source: "Calculating event entry size", user guide
)
DEEPEST_DETAIL: Final = 100  # levels; an event is read again and again behind this


def entry_bytes(entry: Mapping[str, Any]) -> int:
    """The size of an entry of PutEvents as it counts. Source: "Calculating Amazon EventBridge event entry size", user guide."""
    size = 14 if "Time" in entry else 0
    for name in ("Source", "DetailType", "Detail"):
        size += len(entry.get(name, "").encode())
    return size + sum(len(each.encode()) for each in entry.get("Resources", []))


def read_detail(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` is, None if it is none (or nobody could keep or send it: NaN, NUL, half a character, too deep)."""
    try:
        detail = json.loads(text, parse_constant=_no_constant)
        json.dumps(detail, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(detail, dict) or _depth(detail) > DEEPEST_DETAIL:
        return None
    return None if any("\0" in each for each in texts(detail)) else detail


def _depth(value: Any) -> int:
    deepest = 0
    waiting = [(value, 1)]
    while waiting:
        found, level = waiting.pop()
        deepest = max(deepest, level)
        if isinstance(found, dict | list) and level <= DEEPEST_DETAIL + 1:
            waiting += [(each, level + 1) for each in (found.values() if isinstance(found, dict) else found)]
    return deepest


def event_time(at_ms: int) -> str:
    """The moment as an event has it: 2026-01-01T00:00:00Z."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def envelope(
    *,
    event_id: str,
    source: str,
    detail_type: str,
    account: str,
    region: str,
    at_ms: int,
    resources: Sequence[str],
    detail: Mapping[str, Any],
) -> dict[str, Any]:
    """An event as targets see it. Source: "AWS service event metadata", EventBridge events reference."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": event_time(at_ms),
        "region": region,
        "resources": list(resources),
        "detail": detail,
    }


def is_read_of_trail(event: Mapping[str, Any]) -> bool:
    """Whether the event tells of a call that changed nothing: only rules that ask for all management events want those.

    Source: "Receiving read-only management events from AWS services", EventBridge user guide.
    """
    detail = event.get("detail")
    return (
        event.get("detail-type") == "AWS API Call via CloudTrail"
        and isinstance(detail, Mapping)
        and detail.get("readOnly") is True
    )


def is_echo(event: Mapping[str, Any]) -> bool:
    """Whether the event tells of a call that EventBridge made itself to deliver another one.

    A rule that heard of it would set itself off again with each delivery. Nobody else can look like this: no caller has a service's name
    for an address, and the service-linked role is assumed by EventBridge alone.
    """
    detail = event.get("detail")
    if event.get("detail-type") != "AWS API Call via CloudTrail" or not isinstance(detail, Mapping):
        return False
    if detail.get("sourceIPAddress") == "events.amazonaws.com":
        return True
    identity = detail.get("userIdentity")
    session = identity.get("sessionContext") if isinstance(identity, Mapping) else None
    issuer = session.get("sessionIssuer") if isinstance(session, Mapping) else None
    return isinstance(issuer, Mapping) and _OWN_ROLE in str(issuer.get("arn"))


_OWN_ROLE: Final = ":role/aws-service-role/apidestinations.events.amazonaws.com/"


# -- deliveries -------------------------------------------------------------------------------------------------------

MOST_HOPS: Final = 10  # buses that forward an event one to the next, before it is taken for a circle


def delivery_id(event: Mapping[str, Any], bus_arn: str, rule: str, target: str) -> str:
    """The name of a delivery: the same for the same event, rule and target, however often it is promised. A replay is another event."""
    parts = (str(event.get("id")), str(event.get("replay-name", "")), bus_arn, rule, target)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def idempotency_key(event: Mapping[str, Any], delivery: str) -> str:
    """What a receiver may know repeated deliveries by."""
    return f"{event.get('id')}:{delivery[:16]}"


FIRST_WAIT_MS: Final = 1_000
LONGEST_WAIT_MS: Final = 600_000


def wait_ms(delivery: str, failed: int) -> int:
    """How long a delivery waits after `failed` failures: doubled each time up to ten minutes, spread by a quarter.

    The spread follows from the delivery's name, so that those that failed together do not come back together.
    """
    whole = min(FIRST_WAIT_MS << min(failed - 1, 30), LONGEST_WAIT_MS)
    share = int.from_bytes(hashlib.sha256(f"{delivery}:{failed}".encode()).digest()[:4]) / 2**32
    return round(whole * (0.75 + 0.25 * share))
