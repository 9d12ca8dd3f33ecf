"""HTTP and processes: `supervisor` forks, `server` and `guard` speak HTTP, `batch` shares a sync of the trail, `metrics` counts.

Only `server` and `guard` know uvicorn. The core behind them gets raw bytes and never learns what brought them.
"""
