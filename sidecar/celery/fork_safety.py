"""Lets gRPC survive a fork, where it is not imported yet: otherwise a forked process that uses it is aborted."""

from __future__ import annotations

import os
import sys

_VARIABLE = "GRPC_ENABLE_FORK_SUPPORT"

if "grpc" not in sys.modules:
    # gRPC reads it when it is imported.
    os.environ.setdefault(_VARIABLE, "1")

FORK_SAFE = os.environ.get(_VARIABLE, "").lower() in {"1", "t", "true", "y", "yes"}
"""Whether a process may use gRPC whose parent did."""
