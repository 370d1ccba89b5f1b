"""Initializes gRPC as in a sidecar, but without its fork handlers, which start threads in a child about to exec."""

import os

from sidecar.server.reading import choose_reading

_VARIABLES = ("GRPC_ENABLE_FORK_SUPPORT", "GRPC_EXPERIMENTS")
_before = {name: os.environ.get(name) for name in _VARIABLES}
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
choose_reading("direct", ())

import grpc  # noqa: E402

# It reads the variables with the first channel. Processes that tests start choose for themselves.
grpc.insecure_channel("127.0.0.1:1").close()
for _name, _value in _before.items():
    del os.environ[_name]
    if _value is not None:
        os.environ[_name] = _value
