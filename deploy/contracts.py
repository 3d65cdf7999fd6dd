"""The committed contracts: JSON Schemas, one OpenAPI document a service, one AsyncAPI document of all topics.

`python -m deploy.contracts` writes them, `--check` fails when a committed one is not what the code says. Neither takes
a change that would break a stored entry, a client or a reader: an event or an intake type that has to change becomes a
new type beside the old one (with an upcaster, if the old class goes), a route a new path beside the old one. The
documents of doors and topics may break only together with a higher `info.version`.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from deploy.compatibility import Use, breaking, version
from deploy.local.home import SERVICES
from deploy.routes import openapi
from deploy.schemas import event_file, intake_file, schemas
from deploy.topics import asyncapi
from services.submission.intake import RECEIPT
from shared.events import UPCASTERS

FOLDER: Final = Path(__file__).parent
PLACES: Final = ("schemas/**/*.json", "openapi/*.json", "asyncapi.json")


def contracts() -> dict[str, dict[str, Any]]:
    """Every contract by the name of its file below `deploy/`."""
    found = {f"schemas/{name}": schema for name, schema in schemas().items()}
    found |= {f"openapi/{service}.json": openapi(service) for service in SERVICES}
    return found | {"asyncapi.json": asyncapi()}


def text(contract: Mapping[str, Any]) -> str:
    """A contract as it is committed."""
    return json.dumps(contract, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def use(name: str) -> Use:
    """What the schema in a file is of."""
    if name.startswith("schemas/events/"):
        return Use.ENTRY
    return Use.ANSWER if name == f"schemas/{intake_file(RECEIPT)}" else Use.ASK


def faults(committed: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What stands in the way of the committed contracts becoming the wanted ones; new ones never do."""
    frozen = {f"schemas/{event_file(tag)}" for tag in UPCASTERS}
    for name, before in committed.items():
        after = wanted.get(name)
        if after is not None and not _newer(before, after):
            yield from (f"{name}: {fault}" for fault in breaking(before, after, use(name)))
        elif after is None and name not in frozen:
            yield f"{name}: its type is gone, though entries, clients or readers may bear it"


def _newer(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a document of doors or topics bears a higher version."""
    return version(after) != "" and int(version(after)) > int(version(before))


def read() -> dict[str, dict[str, Any]]:
    """The contracts that are committed."""
    paths = sorted(path for place in PLACES for path in FOLDER.glob(place))
    return {path.relative_to(FOLDER).as_posix(): json.loads(path.read_text(encoding="utf-8")) for path in paths}


def stale(committed: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Which files are not, to the byte, what the code says."""
    for name, contract in wanted.items():
        if name not in committed:
            yield f"{name} is not committed: run `make contracts`"
        elif (FOLDER / name).read_text(encoding="utf-8") != text(contract):
            yield f"{name} is not what the code says: run `make contracts`"


def main() -> int:
    """Write the contracts, or with `--check` compare them; what would break someone is refused, and nothing written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare with what is committed")
    check = parser.parse_args().check
    committed, wanted = read(), contracts()
    found = list(faults(committed, wanted))
    if check:
        found += stale(committed, wanted)
    elif not found:
        for name, contract in wanted.items():
            path = FOLDER / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(contract), encoding="utf-8")
    else:
        found.append("nothing was written: add a new version beside the old one instead")
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
