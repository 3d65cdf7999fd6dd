"""The Java archives of Kafka and Zipkin: fetched once into a cache, each equal to its SHA-256 in a committed list."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from platformdirs import user_cache_path

from deploy.fault import Fault

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LISTS: Final = Path(__file__).parent
KAFKA: Final = LISTS / "kafka-jars.sha256"
ZIPKIN: Final = LISTS / "zipkin-jars.sha256"
WORKERS: Final = 8
TIMEOUT: Final = 60  # seconds without an answer

# what the lists were made from; the binding makes the broker's own messages visible
SOURCES: Final = {KAFKA: ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")}


class Jar(NamedTuple):
    """A line of a list, as `sha256sum` writes it: the digest, and the path in a Maven repository's layout."""

    digest: str
    path: Path

    def fetch(self, into: Path) -> Path:
        """Download this one file, without its dependencies, below `into`."""
        group, artifact, version = self.path.parts[:-3], self.path.parts[-3], self.path.parts[-2]
        classifier = self.path.stem.removeprefix(f"{artifact}-{version}").removeprefix("-")
        context = _maven(into)
        return context.project(".".join(group), artifact).at_version(version).artifact(classifier, "jar").resolve()


def _maven(folder: Path) -> "MavenContext":
    from jgo.maven import MavenContext  # noqa: PLC0415 - a quarter of a second that only a download needs

    return MavenContext(repo_cache=folder, timeout=TIMEOUT)


def cache() -> Path:
    """Where downloads are kept for all homes: PARINDEX_CACHE, else the user's cache folder."""
    chosen = os.environ.get("PARINDEX_CACHE")
    return Path(chosen).absolute() if chosen else user_cache_path("parindex")


def read_list(path: Path) -> list[Jar]:
    """The jars that a list names."""
    rows = (line.split() for line in path.read_text().splitlines())
    return [Jar(digest, Path(name)) for digest, name in rows]


def check(file: Path, jar: Jar) -> None:
    """Refuse a file that is not the listed one. Raises Fault, which names it."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != jar.digest:
        raise Fault(f"{file} is not the listed jar (SHA-256 {digest}, wanted {jar.digest}); delete it and try again")


def obtain(lists: list[Path], progress: Callable[[int, int], None], root: Path | None = None) -> None:
    """Have every listed jar in the cache, downloading what is missing, and check each one. Raises Fault."""
    folder = (cache() if root is None else root) / "jars"
    jars = [jar for path in lists for jar in read_list(path)]
    with ThreadPoolExecutor(WORKERS) as pool:
        for done, _ in enumerate(pool.map(lambda jar: _have(folder, jar), jars), start=1):
            progress(done, len(jars))


def paths(path: Path) -> list[Path]:
    """Where the jars of a list are in the cache."""
    return [cache() / "jars" / jar.path for jar in read_list(path)]


def _have(folder: Path, jar: Jar) -> None:
    file = folder / jar.path
    if file.exists():
        return check(file, jar)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # beside its place, so that only whole and checked files ever stand there
        with TemporaryDirectory(dir=folder) as scratch:
            fetched = jar.fetch(Path(scratch))
            check(fetched, jar)
            fetched.replace(file)
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo raises RuntimeError
        raise Fault(f"cannot fetch {jar.path.name}: {' '.join(str(error).split())[:200]}") from error


def listing(coordinates: tuple[str, ...]) -> str:
    """A new list of the given artifacts with all that they need at run time, resolved and downloaded."""
    with TemporaryDirectory() as scratch:
        context = _maven(Path(scratch))
        inputs, others = context.resolver.resolve([context.create_dependency(text) for text in coordinates])
        files = sorted(dependency.artifact.resolve() for dependency in [*inputs, *others])
        lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(scratch)}" for file in files]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for target, sources in SOURCES.items():
        target.write_text(listing(sources))
