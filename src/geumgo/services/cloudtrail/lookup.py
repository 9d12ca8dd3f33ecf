"""From what a request names to a trail."""

from geumgo.context import Context, Place
from geumgo.domain.arn import split_arn
from geumgo.services.cloudtrail import store_trails
from geumgo.services.cloudtrail.domain_trails import problem_of_name
from geumgo.services.cloudtrail.errors import InvalidArn, InvalidHomeRegion, InvalidTrailName, TrailNotFound
from geumgo.services.cloudtrail.records import Trail


def trail_arn(ctx: Context, name: str) -> str:
    """The ARN of the trail that `name` (a name or an ARN) would be."""
    return name if name.startswith("arn:") else ctx.place.arn("cloudtrail", f"trail/{name}")


def where(ctx: Context, name: str) -> tuple[Place, str]:
    """The place and the name of the trail that `name` (a name or an ARN) means. Raises InvalidArn, InvalidTrailName."""
    if not name.startswith("arn:"):
        refuse_name(name)
        return ctx.place, name
    arn = split_arn(name)
    if arn is None or arn.service != "cloudtrail" or arn.resource_type != "trail" or problem_of_name(arn.resource_id):
        raise InvalidArn(name)
    return Place(arn.account, arn.region, ctx.place.partition), arn.resource_id


def refuse_name(name: str) -> None:
    """Raises InvalidTrailName."""
    problem = problem_of_name(name)
    if problem:
        raise InvalidTrailName(problem)


def find(ctx: Context, name: str) -> Trail | None:
    """The trail, or None. A name is that of a trail of this region, or of one of all regions (a shadow of it is here)."""
    place, bare = where(ctx, name)
    if place.account != ctx.place.account:
        return None
    found = store_trails.find(ctx.tx, ctx.sealing, place, bare)
    if found is not None or name.startswith("arn:"):
        return found
    everywhere = store_trails.of_account(ctx.tx, ctx.sealing, place.account, place.partition)
    return next((trail for trail in everywhere if trail.name == bare and trail.multi_region), None)


def get(ctx: Context, name: str) -> Trail:
    """Raises TrailNotFound, InvalidArn, InvalidTrailName."""
    found = find(ctx, name)
    if found is None:
        raise TrailNotFound(trail_arn(ctx, name), ctx.place.account)
    return found


def get_at_home(ctx: Context, name: str) -> Trail:
    """The trail, in the region where it may be changed. Raises as `get`, and InvalidHomeRegion."""
    found = get(ctx, name)
    if found.place.region != ctx.place.region:
        raise InvalidHomeRegion(found.arn, found.place.region)
    return found
