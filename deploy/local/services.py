"""The four services in the local stack, started as the compose file starts them, in this machine's places."""

import sys
from functools import partial

from deploy.local.compose import ROOT, SECRETS, Container, relocate
from deploy.local.home import SERVICES, Home
from deploy.local.part import Launch, Part
from deploy.local.zipkin import answers


def part(home: Home, name: str, container: Container, every: dict[str, Container]) -> Part:
    """One service. It starts when the database, the broker and the store answer."""
    return Part(
        name,
        partial(_launch, home, name, container, places(home, every)),
        partial(answers, home.url(name) + "/health/ready"),
        needs=("postgres", "kafka", "s3"),
    )


def places(home: Home, containers: dict[str, Container]) -> dict[str, str]:
    """Where the containers' addresses and secrets are on this machine."""
    published = {containers[name].ports[0].rpartition(":")[0]: home.address(name) for name in SERVICES}
    return {
        "kafka:9092": home.address("kafka"),
        "s3:8333": home.address("s3"),
        "traces:4318": home.address("traces"),
        SECRETS: str(home.secrets),
        **published,
    }


def environment(home: Home, name: str, container: Container, where: dict[str, str]) -> dict[str, str]:
    """The container's variables, their addresses and files being those of this home."""
    own = {"PARINDEX_HOST": "127.0.0.1", "PARINDEX_PORT": str(home.ports[name])}
    return {key: own.get(key, relocate(value, where)) for key, value in container.environment.items()}


def command(container: Container) -> list[str]:
    """The container's command for this interpreter."""
    return [sys.executable if word == "python" else word for word in container.command]


async def _launch(home: Home, name: str, container: Container, where: dict[str, str]) -> Launch:
    return Launch(command(container), cwd=ROOT, env=environment(home, name, container, where))
