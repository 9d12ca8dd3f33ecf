"""HTTP and processes: `supervisor` forks, `server` and `guard` speak HTTP, `batch` shares a sync of the trail, `metrics` counts.

`connection` speaks HTTP/1.1 over uvloop and httptools. The core behind it gets raw bytes and never learns what brought them.
"""
