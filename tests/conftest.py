"""For every test: threads that wait asleep, and nothing reported to anybody."""

from __future__ import annotations

import os

# Before torch is imported: see symbio.cli.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
