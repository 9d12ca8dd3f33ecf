"""CloudWatch, as far as one metric needs it: how many secrets an account has, by the hour.

What is measured comes from other services, by a job `cloudwatch.keep_datapoint` with {metric, at_ms, value}. Everything else that is
worth measuring is served to Prometheus.
"""

from geumgo.room import Room
from geumgo.services.cloudwatch import metrics
from geumgo.services.cloudwatch.access import ACCESS

ROOM = Room("cloudwatch", chapters=(metrics,), access=ACCESS, tables="geumgo.services.cloudwatch.tables")
