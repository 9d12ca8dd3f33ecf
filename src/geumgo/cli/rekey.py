"""`geumgo rekey`: new root keys, while the server runs."""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from geumgo.cli.plain import data_option, existing
from geumgo.settings import Settings, SettingsError
from geumgo.storage import StorageError

if TYPE_CHECKING:
    from geumgo.app.rekeying import Rekeying
    from geumgo.sealing.seals import Seal

RECENT_MS: Final = 86_400_000
OTHERS_SECONDS: Final = 120.0  # after that, processes of other machines that still have only the old root keys end
PATIENCE_SECONDS: Final = 1_200.0  # a job may run as long as a function may: 900 seconds
NEXT: Final = "keyring.next.json"


@click.command()
@data_option
@click.option("--status", "only_status", is_flag=True, help="Only say how far it is; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --status: for machines.")
@click.option(
    "--seal-file",
    "seal_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A further seal that is on the root keys, beside the one of the settings; may be repeated.",
)
@click.option(
    "--passphrase-file",
    "passphrase_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Likewise: the file with its passphrase.",
)
@click.option(
    "--entered-shares", is_flag=True, help="Likewise, and with seal = shares: a line each, on standard input."
)
@click.option(
    "--end-sessions", is_flag=True, help="Temporary credentials end with the old root key, not by themselves."
)
@click.option("--give-up-damaged", is_flag=True, help="Drop the old root key though damaged rows are left.")
@click.option("--others-stopped", is_flag=True, help="No other machine works on this database now.")
@click.option("--others-ready", is_flag=True, help="Every other machine that runs has keyring.next.json.")
@click.option("--again", is_flag=True, help="Though the root keys were renewed within a day.")
@click.option(
    "--grace",
    type=click.IntRange(0, 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long tokens of pages and grants that are out there still work.",
)
def rekey(
    data: Path | None,
    config: Path | None,
    only_status: bool,
    as_json: bool,
    seal_files: tuple[Path, ...],
    passphrase_files: tuple[Path, ...],
    entered_shares: bool,
    **how: bool | int,
) -> None:
    """Renew the root keys while the server runs. Interrupted at any point, the same command goes on where it stopped."""
    settings = existing(config, data=data)
    if entered_shares:
        _enter_shares(settings)
    if only_status:
        sys.exit(_show(settings, as_json=as_json))
    further = [replace(settings, seal="file", seal_file=str(each)) for each in seal_files]
    further += [replace(settings, seal="passphrase", passphrase_file=str(each)) for each in passphrase_files]
    if entered_shares and settings.seal != "shares":
        further.append(replace(settings, seal="shares"))
    sys.exit(_renew(settings, further, **how))


def _renew(
    settings: Settings,
    further: list[Settings],
    *,
    end_sessions: bool | int,
    give_up_damaged: bool | int,
    others_stopped: bool | int,
    others_ready: bool | int,
    again: bool | int,
    grace: bool | int,
) -> int:
    from geumgo.app import rekeying
    from geumgo.app.directory import seal_of

    with ExitStack() as stack:
        stack.enter_context(rekeying.alone(settings))
        before = rekeying.standing(settings)
        if not before.under_way and not again and _is_recent(before.made_at_ms):
            click.echo(
                f"The root keys were renewed {_ago(before.made_at_ms)} (term {before.term}), and nothing is left of the older ones.\n"
                "Nothing to do. To renew them once more: geumgo rekey --again"
            )
            return 0
        seals = [seal_of(each) for each in (settings, *further)]
        others = rekeying.other_machines(settings)
        work = rekeying.Rekeying(settings, click.echo)
        if others and not (others_stopped or others_ready or (rekeying.is_alone_open(settings) and before.under_way)):
            return _prepare(settings, work, seals, others)
        if others_ready and len(before.terms) == 1 and not (settings.data / NEXT).exists():
            raise SettingsError(f"There is no {settings.data / NEXT}: `geumgo rekey` makes it, for the others to have.")
        rekeying.refuse_strange_server(settings)
        try:
            if len(before.terms) > 1 or not before.under_way:
                ring = work.begin(seals, take_over=bool(others_stopped))
                work.renew()
                work.wait(ring, PATIENCE_SECONDS)
                work.wait_for_others(ring, OTHERS_SECONDS if others_ready else 0)
                _pause(int(grace))
                ring = work.finish(give_up_damaged=bool(give_up_damaged), end_sessions=bool(end_sessions))
            else:
                ring = before.terms
                click.echo("Only the memory of running processes still has an old root key.")
            work.wait(ring, PATIENCE_SECONDS)
            work.forget(ring)
        except rekeying.NotYet as later:
            click.echo(f"\nNOT finished. {later}\nEverything is served as before.", err=True)
            return 1
        except (StorageError, OSError) as fault:
            why = fault.strerror or str(fault) if isinstance(fault, OSError) else str(fault)
            click.echo(f"\nNOT finished: {why}\nNothing is lost: mend that, and run `geumgo rekey` again.", err=True)
            return 1
        except KeyboardInterrupt:
            click.echo("\nInterrupted. Nothing is lost: run `geumgo rekey` again, and it goes on from here.", err=True)
            return 130
    click.echo(_end(settings, ring[-1], sessions=not end_sessions, others=others, ready=bool(others_ready)))
    return 0


def _prepare(settings: Settings, work: "Rekeying", seals: "list[Seal]", others: list[str]) -> int:
    """The next ring is there for the other machines. Answers the exit status: more is to be done."""
    made = work.prepare(seals)
    click.echo(
        f"NOT begun. The database knows other machines: {', '.join(others)}. They need the new root keys before they are used.\n\n"
        f"{settings.data / NEXT} {'has them' if made else 'was made before'}. Nothing uses it yet. Next:\n"
        f"  - copy it into the data directory of every other machine that runs (same name, mode 0600, owned by geumgo's user)\n"
        f"  - here: geumgo rekey --data {settings.data} --others-ready\n"
        "Or stop geumgo on all other machines, and here: geumgo rekey --others-stopped",
        err=True,
    )
    return 1


def _pause(seconds: int) -> None:
    import time

    if seconds:
        click.echo(f"  {seconds} s for tokens that were given out before (--grace) ...")
        time.sleep(seconds)


def _end(settings: Settings, term: int, *, sessions: bool, others: list[str], ready: bool) -> str:
    lines = [
        f"\nDone: the root keys are those of term {term}; no row and no file holds the ones before, and every process was started anew.",
        "Temporary credentials go on until they end by themselves, at most 36 hours."
        if sessions
        else "Temporary credentials from before have ended.",
        "`geumgo audit verify` still proves what was written before: public keys are kept.",
        "",
        "Next:",
    ]
    if others and ready:
        lines.append(
            "  - on every other machine: geumgo rekey, so that the old root keys are gone from its keyring.json, too"
        )
        lines.append(f"  - a machine that did not have {NEXT}: copy {settings.data / 'keyring.json'} to it (mode 0600)")
    elif others:
        lines.append(
            f"  - copy {settings.data / 'keyring.json'} to every other machine (mode 0600) before geumgo starts there"
        )
    lines.append(
        "  - make a backup: geumgo backup TO"
        if not settings.database
        else "  - make a backup: pg_dump, and with it the new keyring.json"
    )
    lines.append(
        "  - older backups open with their own keyring and the seal of then; delete them if the old root key is known to somebody"
    )
    return "\n".join(lines)


def _show(settings: Settings, *, as_json: bool) -> int:
    from geumgo.app import rekeying

    found = rekeying.standing(settings)
    if as_json:
        click.echo(json.dumps({**asdict(found), "under_way": found.under_way}, indent=2))
        return 1 if found.under_way else 0
    since = f", added {_ago(found.made_at_ms)}" if found.made_at_ms else ""
    click.echo(f"Term {found.term}{since}.")
    if not found.under_way:
        click.echo("It is the only one: nothing is left to do.")
        return 0
    rows = sum(found.left.values())
    click.echo(f"Under way: {', '.join(map(str, found.terms[:-1])) or 'an older term'} is to be dropped.")
    for table, left in found.left.items():
        click.echo(f"  {table:<26} {left:>9,} rows left")
    click.echo(f"  {'all tables':<26} {rows:>9,} rows left")
    for chain in found.chains_left:
        click.echo(f"  chain {chain} of the trail is signed in an older term")
    for process in found.used_by:
        click.echo(f"  {process} still has the ring of before")
    click.echo("Next: geumgo rekey goes on with it (unless one is running just now).")
    return 1


def _enter_shares(settings: Settings) -> None:
    from geumgo.app import unsealing

    for line in sys.stdin.read().splitlines():
        if line.strip():
            unsealing.enter(settings, line)


def _is_recent(made_at_ms: int | None) -> bool:
    return bool(made_at_ms) and _now_ms() - (made_at_ms or 0) < RECENT_MS


def _ago(made_at_ms: int | None) -> str:
    minutes = max(_now_ms() - (made_at_ms or 0), 0) // 60_000
    if minutes < 120:
        return f"{minutes} minutes ago"
    return f"{minutes // 60} hours ago" if minutes < 2_880 else f"{minutes // 1_440} days ago"


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
