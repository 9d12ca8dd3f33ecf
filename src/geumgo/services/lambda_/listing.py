"""Where a listing goes on."""

from geumgo.services.lambda_.errors import InvalidParameterValue


def page_end(marker: str | None) -> dict[str, str]:
    """What the answer says of the next page; None: there is none."""
    return {} if marker is None else {"NextMarker": marker}


def number_of(marker: str | None) -> int:
    """The number that a marker says, 0 if there is none. Raises InvalidParameterValue."""
    if not marker:
        return 0
    if not (marker.isascii() and marker.isdigit() and len(marker) < 19):
        raise bad_marker()
    return int(marker)


def name_of(marker: str | None) -> str:
    """The name that a marker says, "" if there is none. Raises InvalidParameterValue."""
    if marker and ("\0" in marker or len(marker) > 256):
        raise bad_marker()
    return marker or ""


def bad_marker() -> InvalidParameterValue:
    """Unverified: the message."""
    return InvalidParameterValue("The marker is not one that this listing gave.")
