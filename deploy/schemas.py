"""JSON Schemas: of each event type, each intake type and its receipt, the rubric file and the period file."""

from typing import Any, Final

from pydantic import BaseModel

from services.submission.intake import RECEIPT, TYPES, Receipt
from shared.events import catalogue
from shared.rubric import period_schema, rubric_schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def event_file(tag: str) -> str:
    """The file of an event type's schema."""
    return f"events/{tag}.schema.json"


def intake_file(tag: str) -> str:
    """The file of an intake type's schema, or of the receipt's."""
    return f"intake/{tag}.schema.json"


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its file's name."""
    found = {"rubric.schema.json": rubric_schema(), "period.schema.json": period_schema()}
    for tag, model in sorted(catalogue().items()):
        marks = {"x-public": model.public, "x-erasable": model.erasable}
        found[event_file(tag)] = _schema(tag, model, "serialization") | marks
    for tag, ask in sorted(TYPES.items()):
        found[intake_file(tag)] = _schema(tag, ask, "validation")
    return found | {intake_file(RECEIPT): _schema(RECEIPT, Receipt, "serialization")}


def _schema(tag: str, model: type[BaseModel], mode: Any) -> dict[str, Any]:
    return model.model_json_schema(mode=mode) | {"$schema": DIALECT, "title": tag}
