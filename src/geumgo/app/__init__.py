"""The only place that knows every part: settings -> storage -> rooms -> pipeline, worker.

`directory` makes a data directory and brings it to what this program knows, `process` makes the parts of a process, `operators` answers
what is asked on the command line; `rooms` lists the rooms.
"""

from geumgo.app import rings
from geumgo.app.directory import (
    AlreadyThere,
    FirstStart,
    initialise,
    initialised,
    occupy,
    open_root,
    prepare,
    write_config,
)
from geumgo.app.indexing import work as index
from geumgo.app.operators import (
    create_account,
    explain,
    latest_moment,
    read_trail,
    rotations,
    status,
    trail_records,
    verify_trail,
)
from geumgo.app.outgoing import refuse_unusable
from geumgo.app.process import App, build, work
from geumgo.app.rooms import ROOMS
from geumgo.services.iam.bootstrap import AccountExists
from geumgo.services.iam.explain import NoSuchPrincipal

__all__ = [
    "ROOMS",
    "AccountExists",
    "AlreadyThere",
    "App",
    "FirstStart",
    "NoSuchPrincipal",
    "build",
    "create_account",
    "explain",
    "index",
    "initialise",
    "initialised",
    "latest_moment",
    "occupy",
    "open_root",
    "prepare",
    "read_trail",
    "refuse_unusable",
    "rings",
    "rotations",
    "status",
    "trail_records",
    "verify_trail",
    "work",
    "write_config",
]
