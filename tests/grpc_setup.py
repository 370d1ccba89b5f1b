"""Initializes gRPC without its fork handlers: in a test process they start threads in a child that is about to exec."""

import os

_VARIABLE = "GRPC_ENABLE_FORK_SUPPORT"
_before = os.environ.get(_VARIABLE)
os.environ[_VARIABLE] = "0"

# sidecar.server comes first: it chooses gRPC's engine, as in the process that is tested.
import sidecar.server.service  # noqa: E402, F401, I001
import grpc  # noqa: E402

# The handlers are installed, or not, with the first channel. Processes that tests start have them as they choose.
grpc.insecure_channel("127.0.0.1:1").close()
del os.environ[_VARIABLE]
if _before is not None:
    os.environ[_VARIABLE] = _before
