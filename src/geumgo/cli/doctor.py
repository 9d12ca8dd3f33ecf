"""`geumgo doctor`: what an operator would look at first, looked at. Changes nothing."""

import http.client
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from geumgo.cli.looks import Finding, files, machine, processes
from geumgo.cli.plain import data_option, settings_of
from geumgo.clock import SystemClock
from geumgo.settings import CREDENTIALS_NAME, Settings, address

PROBE_SECONDS: Final = 3.0
SHOWN: Final = 20
"""The most lines about one thing; `--json` has them all."""


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
        for line in lines(findings):
            click.echo(line)
    sys.exit(any(finding.level == "problem" for finding in findings))


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """One line for each finding, a second one where something is to be done; and at the end how many are to be mended."""
    said = Counter[str]()
    for finding in findings:
        said[finding.what] += 1
        if said[finding.what] > SHOWN:
            continue
        yield f"{finding.level:<8} {finding.what}: {finding.detail}"
        if finding.next:
            yield f"{'':<8} -> {finding.next}"
    for what, count in said.items():
        if count > SHOWN:
            yield f"{'':<8} {count - SHOWN} more of {what}: --json shows them all"
    problems = [finding.what for finding in findings if finding.level == "problem"]
    if problems:
        yield f"NOT WELL: {len(problems)} to mend ({', '.join(dict.fromkeys(problems))})."
    else:
        yield "All is well."


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


def look_at_library(settings: Settings) -> Iterator[Finding]:
    """Whether the SQLite that is loaded keeps what was committed. PostgreSQL is asked for what durability hangs on at every connection."""
    if settings.database:
        return
    from geumgo.storage.sqlite import library_version

    yield library(library_version())


def library(version: str) -> Finding:
    from geumgo.storage import StorageError
    from geumgo.storage.sqlite import refuse_affected_library

    try:
        refuse_affected_library(version)
    except StorageError as fault:
        return Finding("SQLite", "problem", str(fault), "pip install --only-binary apsw --upgrade apsw")
    return Finding("SQLite", "ok", f"{version}, in which the WAL-reset bug is mended")


def look_at_clock(settings: Settings) -> Iterator[Finding]:
    from geumgo import app
    from geumgo.cli.plain import PLAIN

    if not app.initialised(settings):
        return
    try:
        latest = app.latest_moment(settings)
    except PLAIN:
        return  # said already: the database cannot be read
    yield machine.clock_against(SystemClock().now_ms(), latest)


def look_at_running(settings: Settings) -> Iterator[Finding]:
    running = processes.serving(settings)
    yield from processes.look_at_processes(settings, running)
    yield from machine.look_at_swap(not running or any(each.may_swap for each in running))


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


LOOKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    files.look_at_directory, look_at_keys, look_at_library, look_at_database, look_at_clock, machine.look_at_time_server,
    look_at_running, look_at_functions, look_at_server,
)  # fmt: skip
