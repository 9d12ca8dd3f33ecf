"""Every setting, in one frozen value that is read once at start.

Later sources win: the default here, `geumgo.toml`, the environment (`GEUMGO_LISTEN`), the flags of the command line. A key that does not
exist is an error wherever it stands: a misspelt setting that is silently ignored leaves a default that nobody chose.
"""

import difflib
import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

DATA: Final = Path("geumgo-data")
FILE_NAME: Final = "geumgo.toml"
PREFIX: Final = "GEUMGO_"
CREDENTIALS_NAME: Final = "admin.credentials"
CONFIG_NAME: Final = "admin.config"

_REGION: Final = re.compile(r"[a-z]+(-[a-z]+)+-\d+")
_ACCOUNT: Final = re.compile(r"\d{12}")
_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*")
_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>\d{1,5})")


class SettingsError(Exception):
    """A setting that cannot be used. The message is a plain sentence: which one, why, what to write instead."""


def says(reason: str, default: Any) -> Any:
    """A setting with its default, its unit and the reason for both."""
    return field(default=default, metadata={"says": reason})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decided. Every key has a default that works."""

    data: Path = says(
        "Directory of database, keyring, audit trail and credentials; made at the first start, mode 0700.",
        Path("geumgo-data"),
    )
    listen: str = says(
        "HOST:PORT of the API. Loopback, because TLS is the business of whoever opens it to a network.",
        "127.0.0.1:7373",
    )
    metrics: str = says(
        "HOST:PORT of /metrics (Prometheus), or empty for none. A listener of its own: metrics are not for callers.", ""
    )
    regions: tuple[str, ...] = says("The regions that this site serves, the first one being its home.", ("us-east-1",))
    partition: str = says("The partition in ARNs.", "aws")
    account: str = says("The first account's id, twelve digits; empty: one is made at the first start.", "")
    database: str = says("`postgresql://...` or a libpq connection string; empty: SQLite in the data directory.", "")
    workers: int = says("API processes; 0: one for each core.", 0)
    seal: str = says(
        "What wraps the root key: `file`, `passphrase`, or `shares` that several people enter at each start.", "file"
    )
    seal_file: str = says(
        "Path of the seal file; empty: `seal.key` in the data directory. Keep it on another file system if you can.", ""
    )
    passphrase_file: str = says(
        "Path of a file whose content is the passphrase (a systemd credential, a mounted secret).", ""
    )
    max_body_bytes: int = says(
        "The largest request body (bytes). The largest secret is 65,536 bytes, base64 and JSON around it.", 1 << 20
    )
    max_header_bytes: int = says("The largest head of a request, request line and headers (bytes).", 32 << 10)
    max_headers: int = says("The most headers of a request.", 100)
    max_connections: int = says("The most open connections of one API process; more are refused with 503.", 1_024)
    max_connections_each: int = says(
        "The most of them that come from one address; 0: half of them. `trusted_proxies` may have all.", 0
    )
    max_waiting_bytes: int = says(
        "The most that request bodies may take in one API process at once (bytes); more are refused with 503.", 32 << 20
    )
    uploads_at_once: int = says(
        "The most packages of functions and layers (70 MB each at most, as they are sent) that an API process receives at a time, into "
        "files without a name in the data directory; more are refused with 503.",
        2,
    )
    max_waiting_requests: int = says(
        "The most requests that wait in one API process at once; more are refused with ThrottlingException: those of whoever has most.",
        1_024,
    )
    max_waiting_seconds: float = says(
        "How long a request may wait in line (seconds): of those that would wait for longer, going by the last batches, all but 128 are "
        "refused with ThrottlingException.",
        2.0,
    )
    request_seconds: float = says(
        "How long a request may take to arrive, from its first byte to its last (seconds).", 20.0
    )
    idle_seconds: float = says("How long a connection may idle between requests (seconds).", 75.0)
    batch_requests: int = says(
        "The most requests that are worked on together, or are answered together when the disk has their records.",
        256,
    )
    waiting_outside: int = says(
        "The most requests of an API process that wait for something outside (a function that runs) at a time. More of them wait in line; "
        "all others are served meanwhile.",
        64,
    )
    derived_entries: int = says(
        "The most things that follow from rows (secrets without their values, policies, callers) that an API process keeps, while nothing "
        "is written. A secret that is read again and again is two of them, and takes some 10 KB with all that is kept beside them.",
        32_000,
    )
    honour_child_denies: bool = says(
        "Whether GetParametersByPath leaves out parameters that a policy explicitly denies to the caller. AWS gives them to whoever "
        "may read the path above them.",
        True,
    )
    grace_seconds: float = says("How long a stop waits for requests that are under way (seconds).", 10.0)
    trusted_proxies: tuple[str, ...] = says(
        "Addresses or networks whose X-Forwarded-For and -Proto are believed; none: the peer is who connects.", ()
    )
    outgoing_hosts: tuple[str, ...] = says(
        "Hosts, addresses or networks that are not public and may be sent to nevertheless; `http://HOST`: also without TLS.",
        (),
    )
    function_hosts: tuple[str, ...] = says(
        "`HOST:PORT` of whatever every function may connect to, beside this server and the hosts of the secrets that it has read.",
        (),
    )
    function_memory_mb: int = says(
        "The largest MemorySize of a function that runs here (MB). /tmp (512 MB) and the unpacked package (250 MB at most) come on top.",
        1_024,
    )
    function_node: str = says(
        "Path of the Node.js that functions run on; empty: `node` in /usr/local/bin, /usr/bin or /bin.", ""
    )
    functions_at_once: int = says("The most functions that one process runs at a time; more are refused with 429.", 8)
    database_authorities: str = says(
        "Path of a PEM file with the authorities that sign the certificates of attached databases; empty: the system's.",
        "",
    )
    jobs_at_once: int = says(
        "The most jobs (steps of rotations, deliveries of events, functions that nobody waits for ...) that one server runs at a time.",
        4,
    )
    segment_bytes: int = says("Size of one file of the trail (bytes), preallocated.", 16 << 20)
    history_days: int = says(
        "How long LookupEvents finds a record (days; AWS: 90). `trail_days` says how long it is kept.", 90
    )
    trail_days: int = says(
        "How long the trail is kept (days), at least `history_days`; 0: for ever. What a sink has not taken is kept nevertheless.",
        0,
    )
    deliveries: str = says(
        "Directory below which trails of CloudTrail deliver, a bucket being a directory; empty: `deliveries` in the data directory.",
        "",
    )
    trail_sinks: tuple[str, ...] = says(
        "Where every record of the trail goes besides: `stdout`, `file:/PATH`, `syslog:/dev/log`, `syslog://HOST:PORT`, "
        "`syslog+tcp://HOST:PORT`, `https://HOST/PATH`. None can keep an answer waiting.",
        (),
    )
    trail_token_file: str = says(
        "Path of a file whose content goes to the webhooks among `trail_sinks` as a bearer token; empty: none.", ""
    )
    tls_certificate: str = says("Path of a PEM certificate chain; empty: plain HTTP.", "")
    tls_key: str = says("Path of its PEM private key.", "")
    log_level: str = says("`debug`, `info`, `warning` or `error`.", "info")
    log_format: str = says("`json`, or `text` for people.", "json")

    def __post_init__(self) -> None:
        self._refuse(not self.regions, "regions", "at least one region is needed")
        for region in self.regions:
            self._refuse(not _REGION.fullmatch(region), "regions", f"{region!r} is not a region such as us-east-1")
        self._refuse(
            bool(self.account) and not _ACCOUNT.fullmatch(self.account), "account", "an account id is twelve digits"
        )
        self._refuse(
            self.seal not in ("file", "passphrase", "shares"), "seal", "it is `file`, `passphrase` or `shares`"
        )
        self._refuse(
            self.seal == "passphrase" and not self.passphrase_file,
            "passphrase_file",
            "a passphrase seal needs the file that holds it",
        )
        self._refuse(
            bool(self.tls_certificate) != bool(self.tls_key), "tls_certificate", "certificate and key come together"
        )
        self._refuse(
            self.log_level not in ("debug", "info", "warning", "error"),
            "log_level",
            "it is debug, info, warning or error",
        )
        self._refuse(self.log_format not in ("json", "text"), "log_format", "it is `json` or `text`")
        self._refuse(not 0 <= self.workers <= 256, "workers", "it is 0 (one for each core) to 256")
        for name in (
            "max_body_bytes",
            "max_header_bytes",
            "max_headers",
            "max_connections",
            "max_waiting_bytes",
            "max_waiting_requests",
            "uploads_at_once",
            "max_waiting_seconds",
            "request_seconds",
            "idle_seconds",
            "batch_requests",
            "waiting_outside",
            "derived_entries",
            "functions_at_once",
            "function_memory_mb",
            "jobs_at_once",
            "grace_seconds",
            "history_days",
        ):
            self._refuse(not 0 < getattr(self, name) < math.inf, name, "it is greater than 0")
        self._refuse(
            not (self.trail_days == 0 or self.history_days <= self.trail_days),
            "trail_days",
            "it is 0 (for ever), or at least history_days",
        )
        self._refuse(self.max_waiting_bytes < self.max_body_bytes, "max_waiting_bytes", "it is at least max_body_bytes")
        self._refuse(
            self.max_connections_each < 0, "max_connections_each", "it is 0 (half of max_connections), or greater"
        )
        for proxy in self.trusted_proxies:
            self._refuse(not _is_network(proxy), "trusted_proxies", f"{proxy!r} is no address or network (10.0.0.0/8)")
        for host in self.function_hosts:
            self._refuse(not _is_host_and_port(host), "function_hosts", f"{host!r} is not HOST:PORT")
        for host in self.outgoing_hosts:
            self._refuse(not _is_host(host), "outgoing_hosts", f"{host!r} is no host name, address or network")
        self._refuse(self.segment_bytes < 1 << 20, "segment_bytes", "it is at least 1048576 (1 MiB)")
        for name in ("listen", "metrics"):
            if getattr(self, name) or name == "listen":
                address(name, getattr(self, name))

    @staticmethod
    def _refuse(wrong: bool, name: str, why: str) -> None:
        if wrong:
            raise SettingsError(f"The setting {name!r} cannot be used: {why}.")

    @property
    def api_processes(self) -> int:
        return self.workers or os.cpu_count() or 1

    @property
    def connections_each(self) -> int:
        return self.max_connections_each or max(1, self.max_connections // 2)

    @property
    def home(self) -> str:
        """The region where this site's own things live."""
        return self.regions[0]

    @property
    def database_file(self) -> Path:
        return self.data / "geumgo.db"

    @property
    def audit(self) -> Path:
        return self.data / "audit"

    @property
    def deliveries_path(self) -> Path:
        return Path(self.deliveries) if self.deliveries else self.data / "deliveries"

    @property
    def seal_path(self) -> Path:
        return Path(self.seal_file) if self.seal_file else self.data / "seal.key"


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    bare = text.lower().removeprefix("http://").strip("[]")
    return _is_network(bare) or _HOST.fullmatch(bare) is not None


def _is_host_and_port(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found["port"]) <= 65_535


def address(name: str, value: str) -> tuple[str, int]:
    """Host (without brackets) and port of `HOST:PORT`. Raises SettingsError."""
    found = _ADDRESS.fullmatch(value)
    if found is None or int(found["port"]) > 65_535:
        raise SettingsError(
            f"The setting {name!r} is {value!r}; it must be HOST:PORT, as 127.0.0.1:7373 or [::1]:7373."
        )
    return found["host"].strip("[]"), int(found["port"])


def load(flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None = None) -> Settings:
    """The settings out of all sources. `flags` holds those that were given on the command line, under the names of the fields.

    `config` is the file to read instead of `geumgo.toml` in the data directory; naming one that is not there is an error.

    Raises:
        SettingsError: an unknown key, a value of the wrong type or out of its range, an unreadable file.
    """
    from_environment = {name: _typed(name, text, "the environment") for name, text in _environment(environment).items()}
    data = Path(flags.get("data") or from_environment.get("data") or DATA)
    file = config or data / FILE_NAME
    from_file = _file(file) if config is not None or file.exists() else {}
    found = {**from_file, **from_environment, **{name: value for name, value in flags.items() if value is not None}}
    if "regions" not in found and environment.get("AWS_REGION"):
        found["regions"] = (environment["AWS_REGION"],)
    return replace(Settings(), **{**found, "data": data})


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    for name in given:
        _known(name, f"{PREFIX}{name.upper()} in the environment")
    return given


def _file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SettingsError(f"The settings file {path} cannot be read: {fault}.") from fault
    for name in content:
        _known(name, f"{name} in {path}")
    return {name: _typed(name, value, str(path)) for name, value in content.items()}


def _known(name: str, shown: str) -> None:
    names = [each.name for each in fields(Settings)]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise SettingsError(f"There is no setting for {shown}." + (f" Did you mean {near[0]}?" if near else ""))


def _typed(name: str, value: Any, where: str) -> Any:
    """`value` as the type of the setting. Text from the environment is read as that type; a list may be written with commas."""
    default = Settings.__dataclass_fields__[name].default
    kind = type(default)
    try:
        if isinstance(default, Path) and isinstance(value, str):
            return Path(value)
        if kind is tuple and isinstance(value, str | list):
            parts = value.split(",") if isinstance(value, str) else value
            if all(isinstance(part, str) for part in parts):
                return tuple(part.strip() for part in parts if part.strip())
        if kind is bool and (isinstance(value, bool) or value in ("true", "false")):
            return value in (True, "true")
        if kind in (int, float) and not isinstance(value, bool):
            return kind(value)
        if kind is str and isinstance(value, str):
            return value
    except ValueError:
        pass  # said below, in one sentence for every way of being wrong
    raise SettingsError(f"The setting {name!r} in {where} is {value!r}; it must be {_KINDS[kind]}.")


_KINDS: Final = {
    bool: "true or false",
    str: "text",
    int: "a whole number",
    float: "a number",
    tuple: "a list of texts",
    type(Path()): "a path",
}
