"""What this process may send to the outside, and how."""

from collections.abc import Mapping

from geumgo.outbound import Allowed, Outbound
from geumgo.outbound.databases import Databases
from geumgo.room import JobHandler
from geumgo.services.events.delivery import Carrier
from geumgo.services.events.log_files import LogFiles
from geumgo.services.rds.steward import Steward
from geumgo.settings import Settings, SettingsError


def allowed_of(settings: Settings) -> Allowed:
    """Whom the operator lets this server send to. Raises SettingsError for an entry that could never be called."""
    try:
        return Allowed.of(settings.outgoing_hosts)
    except ValueError as fault:
        raise SettingsError(f"The setting 'outgoing_hosts' cannot be used: {fault}.") from None


def carrier_of(settings: Settings) -> Carrier:
    """What brings events to their targets. Raises SettingsError."""
    return Carrier(Outbound(allowed_of(settings)), LogFiles(settings.data / "events"))


def jobs_of(settings: Settings) -> Mapping[str, JobHandler]:
    """The jobs that reach outside, by kind. Raises SettingsError."""
    databases = Databases(allowed_of(settings), authorities=settings.database_authorities)
    return {**carrier_of(settings).jobs(), **Steward(databases).jobs()}
