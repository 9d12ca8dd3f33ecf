"""What this process may send to the outside, and how."""

from collections.abc import Mapping

from geumgo.attached.steward import Steward
from geumgo.audit.follow import TrailFiles
from geumgo.functions import Functions, Seats
from geumgo.functions.host import Host, to_server
from geumgo.functions.reach import Rules, read_listed
from geumgo.jobs.worker import still_held
from geumgo.outbound import Allowed, Outbound
from geumgo.outbound.databases import Databases
from geumgo.room import JobHandler
from geumgo.services.cloudtrail.delivery import Deliverer
from geumgo.services.cloudtrail.sinks import BadSink, Sink, sink_of
from geumgo.services.events.delivery import Carrier
from geumgo.services.events.log_files import LogFiles
from geumgo.services.lambda_.queue import Runner
from geumgo.services.rds.master_secret import OWNER as RDS
from geumgo.services.redshift.admin_secret import OWNER as REDSHIFT
from geumgo.settings import Settings, SettingsError, address


def allowed_of(settings: Settings) -> Allowed:
    """Whom the operator lets this server send to. Raises SettingsError for an entry that could never be called."""
    try:
        return Allowed.of(settings.outgoing_hosts)
    except ValueError as fault:
        raise SettingsError(f"The setting 'outgoing_hosts' cannot be used: {fault}.") from None


def refuse_unusable(settings: Settings) -> None:
    """Raises SettingsError for what only the parts of a process understand, before any of them is forked or anything is kept."""
    allowed_of(settings)
    sinks_of(settings)
    try:
        read_listed(settings.function_hosts)
    except ValueError as fault:
        raise SettingsError(f"The setting 'function_hosts' cannot be used: {fault}.") from None


def carrier_of(settings: Settings) -> Carrier:
    """What brings events to their targets. Raises SettingsError."""
    return Carrier(Outbound(allowed_of(settings)), LogFiles(settings.data / "events"))


def jobs_of(settings: Settings, functions: Functions) -> Mapping[str, JobHandler]:
    """The jobs that reach outside, by kind. Raises SettingsError."""
    databases = Databases(allowed_of(settings), authorities=settings.database_authorities)
    return {
        **carrier_of(settings).jobs(),
        **Steward(RDS, databases).jobs(),
        **Steward(REDSHIFT, databases).jobs(),
        **Runner(functions).jobs(),
        **Deliverer(settings.deliveries_path, TrailFiles(settings.audit)).jobs(),
    }


def sinks_of(settings: Settings) -> list[tuple[str, Sink]]:
    """Where every record of the trail goes besides, with the entry of the setting. Raises SettingsError."""
    outbound = Outbound(allowed_of(settings))
    try:
        return [(entry, sink_of(entry, outbound, settings.trail_token_file)) for entry in settings.trail_sinks]
    except BadSink as fault:
        raise SettingsError(f"The setting 'trail_sinks' cannot be used: {fault}.") from None


def function_host(settings: Settings, seats: Seats) -> Host:
    """What runs functions, with the operator's word on whom they may talk to. One for a process. Raises SettingsError."""
    rules = Rules(read_listed(settings.function_hosts), allowed_of(settings))
    server = to_server(address("listen", settings.listen), settings.tls_certificate)
    return Host(
        server,
        rules,
        directory=settings.data,
        most=settings.functions_at_once,
        memory_mb=settings.function_memory_mb,
        node=settings.function_node,
        seats=seats,
        still_wanted=still_held,
    )
