"""Geumgo: what this server does that no service of AWS does under a published API.

Its wire is a model of our own (protocol/own/geumgo). Signing in with a password is here: the only way in that nobody signs with a key.
"""

from geumgo.room import Room
from geumgo.services.geumgo import sign_in
from geumgo.services.geumgo.access import ACCESS
from geumgo.services.geumgo.renewal import RENEWALS

ROOM = Room("geumgo", chapters=(sign_in,), access=ACCESS, tables="geumgo.services.geumgo.tables", renews=RENEWALS)
