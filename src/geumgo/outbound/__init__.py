"""HTTP that this server sends because somebody asked it to: webhooks, API destinations, sinks.

Whoever names a URL here could otherwise make the server talk to what only the server reaches: its own ports, the private network, the
metadata service of the cloud. So a request leaves only for public addresses, or for what the operator listed (`outgoing_hosts`).
"""

from geumgo.outbound.addresses import Allowed, Refused
from geumgo.outbound.client import Answer, Failed, Outbound

__all__ = ["Allowed", "Answer", "Failed", "Outbound", "Refused"]
