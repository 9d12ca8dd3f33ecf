"""Finding attached databases by what a request calls them."""

from geumgo.context import Context, Params, Place
from geumgo.domain.arn import split_arn
from geumgo.services.rds import domain, store
from geumgo.services.rds.errors import InvalidParameterValue, not_found
from geumgo.services.rds.records import Database, Kind

MEMBER: dict[Kind, str] = {"db": "DBInstanceIdentifier", "cluster": "DBClusterIdentifier"}


def place_and_name(ctx: Context, kind: Kind, given: str) -> tuple[Place, str]:
    """Where and under which identifier to look for what is called `given`: an identifier, or an ARN."""
    arn = split_arn(given)
    if arn is not None and arn.service == "rds" and arn.resource.startswith(f"{kind}:"):
        return Place(arn.account, arn.region, arn.partition), arn.resource.removeprefix(f"{kind}:").lower()
    return ctx.place, given.lower()


def find(ctx: Context, kind: Kind, given: str) -> Database | None:
    """The database, or None. Nothing that is no identifier finds one."""
    place, name = place_and_name(ctx, kind, given)
    if not domain.is_identifier(name) or "\0" in place.account + place.region:
        return None
    return store.find(ctx.tx, ctx.sealing, place, kind, name)


def get(ctx: Context, kind: Kind, given: str) -> Database:
    """Raises DBInstanceNotFound, DBClusterNotFoundFault."""
    found = find(ctx, kind, given)
    if found is None or found.place != ctx.place:
        raise not_found(kind, given)
    return found


def by_arn(text: str) -> tuple[Kind, str] | None:
    """Kind and ARN that a ResourceName names; None if it is no ARN of something that can be attached."""
    arn = split_arn(text)
    if arn is None or arn.service != "rds":
        return None
    kind = arn.resource.partition(":")[0]
    if kind == "db":
        return "db", text
    return ("cluster", text) if kind == "cluster" else None


def get_by_arn(ctx: Context, text: str) -> Database:
    """Raises InvalidParameterValue, DBInstanceNotFound, DBClusterNotFoundFault. Unverified: the first message."""
    named = by_arn(text)
    if named is None:
        raise InvalidParameterValue(f"Invalid resource name: {text}")
    return get(ctx, *named)


def tags_given(params: Params) -> list[dict[str, str]]:
    tags: list[dict[str, str]] = params.get("Tags", [])
    return tags
