"""`geumgo doctor`: what an operator would look at first, looked at. Changes nothing."""

import http.client
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import click

from geumgo.cli.plain import data_option, settings_of
from geumgo.settings import CREDENTIALS_NAME, Settings, address

FREE_BYTES: Final = 256 << 20  # below: the trail's next segments may not fit any more
PROBE_SECONDS: Final = 3.0

Level = Literal["ok", "advice", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `next` says what to do; empty if nothing."""

    what: str
    level: Level
    detail: str
    next: str = ""


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Look for what is wrong, or will be. Exit status 0 only when there is no problem."""
    settings = settings_of(config, data=data)
    findings = [finding for look in LOOKS for finding in look(settings)]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.level:<8} {finding.what}: {finding.detail}")
            if finding.next:
                click.echo(f"{'':<8} -> {finding.next}")
    sys.exit(any(finding.level == "problem" for finding in findings))


def look_at_directory(settings: Settings) -> Iterator[Finding]:
    data = settings.data.resolve()
    if not data.is_dir():
        yield Finding("data directory", "problem", f"{data} is not there", f"geumgo init --data {data}")
        return
    found = data.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        yield Finding("data directory", "problem", f"{data} is open to others (mode {mode:04o})", f"chmod 700 {data}")
    elif found.st_uid != os.geteuid():
        yield Finding(
            "data directory", "problem", f"{data} belongs to user {found.st_uid}", "run as the user it belongs to"
        )
    else:
        yield Finding("data directory", "ok", str(data))
    free = shutil.disk_usage(data).free
    if free < FREE_BYTES:
        yield Finding(
            "disk", "problem", f"{free >> 20} MiB are free", "free space: without it nothing can be recorded or kept"
        )
    else:
        yield Finding("disk", "ok", f"{free >> 20} MiB are free")


def look_at_keys(settings: Settings) -> Iterator[Finding]:
    from geumgo import app
    from geumgo.cli.plain import PLAIN

    try:
        app.open_root(settings)
    except PLAIN as fault:
        yield Finding("root key", "problem", str(fault), "bring back the seal that this data directory was made with")
        return
    yield Finding("root key", "ok", f"opened by its seal ({settings.seal})")
    seal = settings.seal_path
    if (
        settings.seal == "file"
        and seal.exists()
        and settings.data.exists()
        and seal.stat().st_dev == settings.data.stat().st_dev
    ):
        yield Finding(
            "seal", "advice", f"{seal} is on the same file system as the data it protects",
            "set seal_file to a path on another one: who steals the disk then has only half",
        )  # fmt: skip
    if (settings.data / CREDENTIALS_NAME).exists():
        yield Finding(
            "administrator", "advice", f"{settings.data / CREDENTIALS_NAME} still holds the first access key",
            "move it to where you keep such things",
        )  # fmt: skip


def look_at_database(settings: Settings) -> Iterator[Finding]:
    from geumgo import app
    from geumgo.cli.plain import PLAIN

    try:
        found = app.status(settings)
    except PLAIN as fault:
        yield Finding(
            "database", "problem", str(fault), "see whether it runs, and whether the setting `database` is right"
        )
        return
    yield Finding("database", "ok", f"{found['database']}, {len(found['accounts'])} accounts")
    for problem in found["problems"]:
        yield Finding("jobs", "problem", problem, "mend its cause; `geumgo status` lists what was given up")


def look_at_process(settings: Settings) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < settings.max_connections + 256:
        yield Finding(
            "file descriptors", "problem", f"the limit is {hard}, for {settings.max_connections} connections",
            "raise it (systemd: LimitNOFILE), or lower max_connections",
        )  # fmt: skip
    else:
        yield Finding("file descriptors", "ok", f"{soft} now, {hard} at most")
    host, _ = address("listen", settings.listen)
    if host not in ("127.0.0.1", "::1", "localhost") and not settings.tls_certificate:
        yield Finding(
            "network", "problem", f"{settings.listen} takes plain HTTP from the network: secrets travel in the clear",
            "set tls_certificate and tls_key, or listen on 127.0.0.1 behind a proxy that has them",
        )  # fmt: skip


def look_at_server(settings: Settings) -> Iterator[Finding]:
    host, port = address("listen", settings.listen)
    kind = http.client.HTTPSConnection if settings.tls_certificate else http.client.HTTPConnection
    connection = kind(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        found = json.loads(answer.read(1 << 16))
        problems = found.get("problems", []) if isinstance(found, dict) else ["something else answers there"]
    except (OSError, http.client.HTTPException, ValueError) as fault:
        yield Finding(
            "server",
            "advice",
            f"nothing of ours answers on {settings.listen} ({fault})",
            "geumgo serve, if it should run",
        )
        return
    finally:
        connection.close()
    if answer.status == 200 and not problems:
        yield Finding("server", "ok", f"ready on {settings.listen}")
    for problem in problems:
        yield Finding("server", "problem", problem, "the log of the server says more")


def look_at_machine(settings: Settings) -> Iterator[Finding]:  # noqa: ARG001 - the machine's, whatever the settings
    swaps = Path("/proc/swaps")
    areas = swap_areas(swaps.read_text("utf-8")) if swaps.exists() else []
    if areas:
        yield Finding(
            "swap", "advice", f"memory can be written to {', '.join(areas)}",
            "turn it off, encrypt it, or keep the server out of it (systemd: MemorySwapMax=0)",
        )  # fmt: skip
    else:
        yield Finding("swap", "ok", "memory is not written to a disk")
    tool = shutil.which("timedatectl")
    if tool is None:
        return
    told = subprocess.run(  # noqa: S603 - no word of it comes from outside
        [tool, "show", "--property=NTPSynchronized", "--value"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode == 0 and told.stdout.strip() == "no":
        yield Finding(
            "clock", "advice", "the system clock is not synchronised",
            "synchronise it: a request whose date is more than five minutes off is refused",
        )  # fmt: skip
    elif told.returncode == 0:
        yield Finding("clock", "ok", "synchronised")


def look_at_functions(settings: Settings) -> Iterator[Finding]:
    from geumgo.functions import NotRun
    from geumgo.functions.host import working_tools
    from geumgo.functions.runtimes import find_node

    try:
        working_tools(settings.data.resolve())
    except NotRun as fault:
        yield Finding(
            "functions", "advice", f"none will run: {fault}",
            "if they should: docs/operate/functions.md says what the machine needs (apt-get install bubblewrap; user namespaces)",
        )  # fmt: skip
        return
    yield Finding("functions", "ok", "run in a sandbox, which holds")
    try:
        node = find_node(settings.function_node)
    except NotRun as fault:
        yield Finding(
            "functions in Node.js", "advice", f"none will run: {fault}",
            "if they should: apt-get install nodejs, or set function_node",
        )  # fmt: skip
    else:
        yield Finding("functions in Node.js", "ok", f"run on {node.path}, version {node.major}")


def swap_areas(text: str) -> list[str]:
    """The areas that `text`, the content of /proc/swaps, lists; memory compressed in memory is none. Source: proc(5)."""
    areas = [line.split()[0] for line in text.splitlines()[1:] if line.strip()]
    return [area for area in areas if not area.startswith("/dev/zram")]


LOOKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    look_at_directory, look_at_keys, look_at_database, look_at_process, look_at_machine, look_at_functions, look_at_server,
)  # fmt: skip
