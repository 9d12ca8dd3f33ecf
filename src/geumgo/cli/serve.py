"""`geumgo serve` and `geumgo init`."""

import shutil
import signal
import socket
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from geumgo.cli.plain import data_option, settings_of
from geumgo.settings import CONFIG_NAME, CREDENTIALS_NAME, Settings


@click.command()
@data_option
@click.option("--listen", metavar="HOST:PORT", help="Where the API listens (default 127.0.0.1:7373).")
@click.option(
    "--region", "regions", multiple=True, metavar="R", help="A region to serve; may be repeated. The first is home."
)
@click.option("--workers", type=int, metavar="N", help="API processes (default: one for each core).")
@click.option("--metrics", metavar="HOST:PORT", help="Where /metrics listens (default: nowhere).")
@click.option("--dev", is_flag=True, help="Keep everything in a temporary directory, gone at the end.")
def serve(data: Path | None, config: Path | None, regions: tuple[str, ...], dev: bool, **flags: Any) -> None:
    """Serve the API. Makes the data directory when it is new; prints `ready: http://HOST:PORT` when it serves."""
    if dev and data is not None:
        raise click.UsageError("--dev keeps everything in a temporary directory; leave out --data.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the supervisor takes over: end, and tidy up
    temporary = Path(tempfile.mkdtemp(prefix="geumgo-dev-")) if dev else None
    try:
        chosen = settings_of(config, data=temporary / "data" if temporary else data, regions=regions or None, **flags)
        sys.exit(run(chosen, dev=dev))
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@click.command()
@data_option
@click.option("--account", metavar="ID", help="The first account's id, twelve digits (default: a random one).")
@click.option(
    "--region", "regions", multiple=True, metavar="R", help="A region to serve; may be repeated. The first is home."
)
def init(data: Path | None, config: Path | None, account: str | None, regions: tuple[str, ...]) -> None:
    """Make a data directory without serving."""
    from geumgo import app

    chosen = settings_of(config, data=data, account=account, regions=regions or None)
    app.occupy(chosen)
    try:
        first = app.initialise(chosen)
    except app.AlreadyThere:
        click.echo(f"geumgo: {chosen.data} is initialised already; nothing was changed.", err=True)
        sys.exit(1)
    introduce(chosen, first, f"{'https' if chosen.tls_certificate else 'http'}://{chosen.listen}")


def run(settings: Settings, *, dev: bool) -> int:
    """Supervise until told to stop. Answers the exit status."""
    from geumgo import app, logs
    from geumgo.edge import supervisor
    from geumgo.edge.balance import Balance
    from geumgo.edge.metrics import Board

    logs.configure(settings)
    app.refuse_unusable(settings)
    supervisor.harden()
    listener = supervisor.listen("listen", settings.listen)
    metrics = supervisor.listen("metrics", settings.metrics) if settings.metrics else None
    app.occupy(settings)
    settings = replace(settings, listen=shown(listener))
    endpoint = f"{'https' if settings.tls_certificate else 'http'}://{settings.listen}"
    if settings.seal == "shares" and app.initialised(settings):
        from geumgo.app import unsealing

        unsealing.wait(settings, listener)
    if app.initialised(settings) and app.prepare(settings):
        welcome_back(settings)
    else:
        introduce(settings, app.initialise(settings), endpoint, dev=dev)
    changed = app.rings.changed(settings)
    app.write_config(settings, endpoint)
    slots = [f"api-{number}" for number in range(settings.api_processes)]
    board = Board([*slots, "supervisor", "worker", "index"])
    balance = Balance(slots)
    children = [supervisor.Child(slot, api(settings, slot, listener, metrics, board, balance)) for slot in slots]
    for slot, work in (("worker", app.work), ("index", app.index)):  # jobs, and the index of the trail
        children.append(supervisor.Child(slot, behind(work, settings, slot, listener, metrics, board)))
    return supervisor.Supervisor(
        children,
        settings.grace_seconds,
        listeners=[listener, *([metrics] if metrics else [])],
        page=board.page("supervisor"),
        changed=changed,
    ).run(lambda: click.echo(f"ready: {endpoint}"))


def api(
    settings: Settings, slot: str, listener: socket.socket, metrics: socket.socket | None, board: Any, balance: Any
) -> Any:
    """What an API process does. Everything is imported here, before the fork, so that the processes share it."""
    from geumgo import app, protocol
    from geumgo.edge.server import serve as serve_http

    for room in app.ROOMS:
        protocol.models.load(room.service)

    def child(started: Any) -> None:
        built = app.build(settings, slot=slot, count=board.page(slot).answered)
        try:
            serve_http(built, settings, listener, started, board=board, slot=slot, balance=balance, metrics=metrics)
        finally:
            built.close()

    return child


def behind(
    work: Any, settings: Settings, slot: str, listener: socket.socket, metrics: socket.socket | None, board: Any
) -> Any:
    """What a process does that answers nobody: `work`, until it is told to stop."""

    def child(started: Any) -> None:
        for each in (listener, metrics):
            if each is not None:
                each.close()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        started()
        work(settings, stop, board.page(slot))

    return child


def shown(listener: socket.socket) -> str:
    """HOST:PORT that the listener has, the port that was given for 0 included."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def introduce(settings: Settings, first: Any, endpoint: str, *, dev: bool = False) -> None:
    """What the operator sees once: where things are, and the administrator's key."""
    if dev:
        click.echo("A temporary directory holds everything; it is gone when this server stops.")
    else:
        click.echo(f"Everything is kept in {settings.data.resolve()}.")
    click.echo(
        f"Regions: {', '.join(settings.regions)}. Endpoint: {endpoint}\n"
        f"Account {first.account}, user admin (AdministratorAccess). The key is shown this once;"
        f" it is also in {settings.data.resolve() / CREDENTIALS_NAME}.\n\n"
        f"    export AWS_ENDPOINT_URL={endpoint}\n"
        f"    export AWS_DEFAULT_REGION={settings.home}\n"
        f"    export AWS_ACCESS_KEY_ID={first.access_key_id}\n"
        f"    export AWS_SECRET_ACCESS_KEY={first.secret_access_key}\n"
    )


def welcome_back(settings: Settings) -> None:
    data = settings.data.resolve()
    click.echo(
        f"Everything is kept in {data}.\n"
        f"Regions: {', '.join(settings.regions)}.\n"
        f"The administrator's key, if you left it there:\n\n"
        f"    export AWS_SHARED_CREDENTIALS_FILE={data / CREDENTIALS_NAME} AWS_CONFIG_FILE={data / CONFIG_NAME}\n"
    )
