"""The generated contracts: a JSON Schema for each event type, for the rubric file and for the period file.

`python -m deploy.schemas` writes them, `--check` fails when a committed one differs or when a change would break what
is stored: within a version of an event only optional fields may be added.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from shared.events import catalogue
from shared.rubric import period_schema, rubric_schema

FOLDER: Final = Path(__file__).parent / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its file's name."""
    found = {"rubric.schema.json": rubric_schema(), "period.schema.json": period_schema()}
    for tag, model in sorted(catalogue().items()):
        schema = model.model_json_schema(mode="serialization")
        schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": tag}
        schema |= {"x-public": model.public, "x-erasable": model.erasable}
        found[f"events/{tag}.schema.json"] = schema
    return found


def text(schema: dict[str, Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a stored entry written under `old` would trip over under `new`: fields gone, changed, or newly required."""
    faults = [f"field {name} is gone" for name in old.get("properties", {}) if name not in new.get("properties", {})]
    faults += [
        f"field {name} is newly required" for name in new.get("required", ()) if name not in old.get("required", ())
    ]
    faults += [
        f"field {name} has another type"
        for name, before in old.get("properties", {}).items()
        if name in new.get("properties", {}) and before.get("type") != new["properties"][name].get("type")
    ]
    return faults


def main() -> int:
    """Write the schemas, or with `--check` compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare with what is committed")
    check = parser.parse_args().check
    wanted = schemas()
    faults = []
    for name, schema in wanted.items():
        path = FOLDER / name
        if check:
            if not path.is_file():
                faults.append(f"{name} is not committed: run `make schemas`")
            elif path.read_text(encoding="utf-8") != text(schema):
                why = breaks(json.loads(path.read_text(encoding="utf-8")), schema) if name.startswith("events/") else []
                faults.append(f"{name} differs: " + ("; ".join(why) or "run `make schemas`"))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(schema), encoding="utf-8")
    left = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")} - set(wanted)
    faults += [f"{name} belongs to no class" for name in sorted(left)]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
