"""Debian's RabbitMQ on loopback, with an Erlang port mapper of its own."""

from __future__ import annotations

from pathlib import Path

from tests.servers.process import LOOPBACK, ServerProcess, answers, free_port
from tests.servers.redis.server import installed


class RabbitMqServer(ServerProcess):
    """One broker. Durable queues and persistent messages are there again after `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        installed("rabbitmq-server")
        self.port = free_port(1, 2)
        distribution, mapper = self.port + 1, self.port + 2
        # Debian's command insists on the user rabbitmq; the script that it calls does not.
        script = next(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
        environment = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            # Then the script becomes the server, and no shell is between.
            "RUNNING_UNDER_SYSTEMD": "1",
        }
        self._mapper = ServerProcess(
            [installed("epmd"), "-port", str(mapper), "-address", LOOPBACK],
            ready=lambda: answers(mapper),
            log=folder / "epmd.log",
        )
        super().__init__(
            [str(script)],
            ready=lambda: "Server startup complete" in self.log_tail(2000) and answers(self.port),
            log=folder / "rabbitmq.log",
            within=120,
            env=environment,
        )

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}//"

    def start(self, *, wait: bool = True) -> None:
        if not self._mapper.running:
            self._mapper.start()
        # An earlier start said that it was complete, too.
        self.log.write_bytes(b"")
        super().start(wait=wait)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._mapper.kill()
