"""Calls xds:///APP with grpcio, as `grpcpeer call` does with grpc-go: a line for each call, `TIME ANSWER`.

`python grpc_caller.py TARGET CALLS EVERY` ends after so many calls (0: never), with a pause of EVERY seconds between.
"""

from __future__ import annotations

import sys
import time
from typing import cast

import grpc

# Longer than any failover takes.
_CALL_S = 20.0


def main() -> None:
    """Call until the end."""
    target, calls, every = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    with grpc.insecure_channel(target) as channel:
        ask = channel.unary_unary("/test.Datacenter/Name", _plain, _plain)
        made = 0
        while calls == 0 or made < calls:
            made += 1
            try:
                answer = ask(b"", timeout=_CALL_S).decode()
            except grpc.RpcError as error:
                call = cast("grpc.Call", error)
                answer = f"!{call.code().name} {call.details()}".replace("\n", " ")
            print(time.time_ns(), answer, flush=True)
            time.sleep(every)


def _plain(data: bytes) -> bytes:
    return data


if __name__ == "__main__":
    main()
