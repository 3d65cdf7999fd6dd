"""Small rubrics for the tests of this folder."""

from typing import Any

from shared.rubric import Leaf, Rubric


def leaf(rule: dict[str, Any] | None = None, maximum: str | None = "1", **more: Any) -> Leaf:
    """A self-assessed item `1.1` under a rule, by hand if none is given."""
    return Leaf.model_validate(tree_leaf("1.1", maximum, rule=rule or {"kind": "by-hand"}, **more))


def tree_leaf(code: str, maximum: str | None = "10", **more: Any) -> dict[str, Any]:
    """An item as a file writes it, scored by hand if no rule is given."""
    return {"code": code, "label": {"vi": f"Nội dung {code}"}, "max": maximum, "rule": {"kind": "by-hand"}, **more}


def survey_leaf(code: str, maximum: str = "10") -> dict[str, Any]:
    """A survey item whose points come from an existing study."""
    return tree_leaf(code, maximum, part="survey", mode="survey", rule={"kind": "imported"})


def rubric(fields: dict[str, list[dict[str, Any]]], **head: Any) -> Rubric:
    """A rubric of fields (code → nodes); its parts' maxima are the sums of its items unless `head` says otherwise."""
    return Rubric.model_validate(raw_rubric(fields, **head))


def raw_rubric(fields: dict[str, list[dict[str, Any]]], **head: Any) -> dict[str, Any]:
    """The same as a file writes it."""
    return {
        "id": "test",
        "title": {"vi": "Bộ tiêu chí thử"},
        "official": False,
        "source": {"instrument": "0/QĐ", "dated": "2024"},
        "note": {"vi": "Dùng để kiểm thử"},
        "parts": {"appraisal": part("50"), "survey": part("50")},
        "reasons": [{"id": "as-declared", "label": {"vi": "Như kê khai"}}],
        "fields": [
            {"code": code, "label": {"vi": f"Lĩnh vực {code}"}, "criteria": nodes} for code, nodes in fields.items()
        ],
        **head,
    }


def part(maximum: str, **more: Any) -> dict[str, Any]:
    """A part of the scale."""
    return {"label": {"vi": "Phần"}, "max": maximum, **more}


def extra(cap: str | None = None, **more: Any) -> dict[str, Any]:
    """Bonus or penalty."""
    return {"label": {"vi": "Thêm"}, "cap": cap, **more}
