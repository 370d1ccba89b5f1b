"""The application of a worker process, set by its environment."""

import os
from pathlib import Path

from sidecar.client import Tls
from tests.celery.shop import make_app

app, routing = make_app(
    os.environ["SHOP_BROKER"],
    os.environ.get("SHOP_RESULTS"),
    state_dir=os.environ["SHOP_STATE"],
    observe_every=1.0,
    timeout=5.0,
    tls=Tls(ca=Path(os.environ["SHOP_CA"])) if "SHOP_CA" in os.environ else None,
    forward=os.environ.get("SHOP_FORWARD", "eta"),
)
