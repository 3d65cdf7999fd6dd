"""The generated pages of the documentation: codes of problems and findings, settings, event types, routes.

`python -m deploy.reference` writes them to `docs/`, `--check` fails when a committed page differs.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from deploy.routes import routes as all_routes
from services.appraisal.api import PROBLEMS as APPRAISAL
from services.scoring.api import PROBLEMS as SCORING
from services.scoring.findings import FINDINGS, TITLES
from services.submission.api import PROBLEMS as SUBMISSION
from services.survey.api import PROBLEMS as SURVEY
from shared.access import Role
from shared.events import catalogue
from shared.settings import settings_table
from shared.web import PROBLEMS, Problem

FOLDER: Final = Path(__file__).parents[1] / "docs"
OF: Final[Mapping[str, Mapping[str, Problem]]] = {
    "all services": PROBLEMS,
    "submission": SUBMISSION,
    "appraisal": APPRAISAL,
    "survey": SURVEY,
    "scoring": SCORING,
}


class Code(NamedTuple):
    """A code that is told in another way than as a problem of its own: what it means, and where it shows."""

    en: str
    vi: str
    where: str


_FILES: Final = "`parindex rubric check`, `parindex period open`"
_BOOK: Final = "`parindex rubric import`"
_SHEETS: Final = "every file of a spreadsheet that is read, by the cell"
_SUBMITTING: Final = "obstacles of a self-assessment; errors of `self-assessment-incomplete`"
_CLOSING: Final = "errors of `leaf-open`, `period-open`"
_OBSTACLES: Final = "`parindex period obstacles`; errors of `obstacles-remain`"
LISTED: Final[Mapping[str, Code]] = {
    "agency-open": Code(
        "The agency's appraisal is not closed",
        "Chưa kết thúc thẩm định cơ quan này",
        f"{_OBSTACLES}, `period-open`",
    ),
    "appraisal-not-final": Code(
        "The period's appraisal is not finalised", "Chưa chốt kết quả thẩm định của kỳ", _OBSTACLES
    ),
    "appraiser-missing": Code(
        "No appraiser is assigned to the field", "Chưa phân công người thẩm định lĩnh vực", "`parindex period progress`"
    ),
    "cell-empty": Code("A cell that must say something is empty", "Ô bắt buộc đang để trống", _BOOK),
    "cell-fixed": Code(
        "A cell was changed whose value is changed in the rubric's file only",
        "Ô này chỉ sửa được trong tệp bộ tiêu chí gốc",
        _BOOK,
    ),
    "cell-too-long": Code(
        "A text is longer than its place takes", "Nội dung dài hơn mức cho phép", f"{_BOOK}; a workbook that is written"
    ),
    "column-missing": Code("A column of the table is missing", "Bảng thiếu một cột", _BOOK),
    "column-unknown": Code("The table has a column too many", "Bảng thừa một cột", _BOOK),
    "council-decision-missing": Code(
        "The council has not accepted the result as it stands",
        "Hội đồng chưa thông qua kết quả hiện tại",
        "`period-open`",
    ),
    "council-missing": Code(
        "No Appraisal Council is seated", "Chưa lập Hội đồng thẩm định", f"{_OBSTACLES}, `period-open`"
    ),
    "counts-invalid": Code(
        "A survey's counts do not fit its ballots",
        "Số đếm khảo sát không khớp với số phiếu",
        "`parindex audit`, within `not-recomputed`",
    ),
    "declaration-later": Code(
        "The item was declared anew after it was appraised", "Tiêu chí được kê khai lại sau khi thẩm định", _CLOSING
    ),
    "declaration-missing": Code(
        "Neither data nor a claim of not applicable", "Chưa kê khai, cũng chưa nêu không áp dụng", _SUBMITTING
    ),
    "declaration-stale": Code(
        "Another item's data have changed the rule of this one: declare it again",
        "Số liệu của mục liên quan đã đổi quy tắc của mục này: hãy kê khai lại",
        _SUBMITTING,
    ),
    "evidence-or-explanation-missing": Code(
        "Neither evidence nor an explanation", "Thiếu tài liệu kiểm chứng hoặc giải trình", _SUBMITTING
    ),
    "figure-estimated": Code(
        "An estimated figure: the agency replaces or confirms it",
        "Số liệu ước tính: cơ quan phải thay thế hoặc xác nhận",
        f"warnings of a self-assessment; {_CLOSING}",
    ),
    "file-invalid": Code("The file is no YAML that can be read", "Tệp không phải YAML đọc được", _FILES),
    "finalising-outdated": Code(
        "A later entry moves the score: finalise anew",
        "Có bản ghi sau làm đổi điểm: hãy chốt lại kết quả thẩm định",
        _OBSTACLES,
    ),
    "formula-unknown": Code(
        "This version of the software has no such formula",
        "Phiên bản phần mềm này không có công thức đó",
        "a replay of the logs in Python; `parindex audit` says `not-recomputed`",
    ),
    "heads-not-archived": Code(
        "The archive does not hold the log as far as the result needs it",
        "Bản lưu chưa có sổ đến bản ghi mà kết quả cần",
        _OBSTACLES,
    ),
    "item-missing": Code("An item of the rubric has no row", "Tiêu chí không có dòng trong bảng", _BOOK),
    "leaf-outdated": Code(
        "The item that chooses its rule was changed: appraise it again",
        "Mục quyết định quy tắc đã thay đổi: hãy thẩm định lại",
        _CLOSING,
    ),
    "log-parked": Code("A log that the result needs is parked", "Sổ mà kết quả cần đang bị tạm ngưng", _OBSTACLES),
    "not-submitted": Code("The agency has not submitted", "Cơ quan chưa nộp", "errors of `step-still-open`"),
    "part-not-ready": Code(
        "A part of the service does not work yet", "Một phần của dịch vụ chưa sẵn sàng", "errors of `not-ready`"
    ),
    "period-invalid": Code(
        "A period file has another form, or names a rubric that is not there",
        "Tệp kỳ đánh giá sai quy cách, hoặc nêu bộ tiêu chí không có",
        "`parindex period open`",
    ),
    "proposal-open": Code(
        "The proposal is not decided", "Đề nghị chưa được quyết định", "errors of `session-incomplete`"
    ),
    "reopening-open": Code(
        "The agency's self-assessment is reopened and may still change",
        "Báo cáo tự đánh giá của cơ quan được mở lại và còn có thể thay đổi",
        f"{_OBSTACLES}, `leaf-open`, `period-open`",
    ),
    "rubric-invalid": Code(
        "A rubric file has another form, or cannot be computed",
        "Tệp bộ tiêu chí sai quy cách, hoặc không tính được",
        f"{_FILES}; errors of `rubric-invalid`",
    ),
    "rule-unreadable": Code(
        "A cell does not say a score rule of its kind", "Ô không ghi đúng dạng quy tắc chấm điểm", _BOOK
    ),
    "sheet-error": Code("A cell holds an error such as #N/A", "Ô chứa lỗi như #N/A", _SHEETS),
    "sheet-formula": Code(
        "A cell holds a formula: paste its value", "Ô chứa công thức: hãy dán giá trị thay cho công thức", _SHEETS
    ),
    "sheet-too-large": Code("The file is larger than what is read", "Tệp lớn hơn mức được đọc", _SHEETS),
    "sheet-unreadable": Code(
        "The file is no XLSX workbook, or no CSV in UTF-8", "Tệp không phải XLSX, hoặc không phải CSV UTF-8", _SHEETS
    ),
    "survey-open": Code("The survey is not complete", "Khảo sát chưa hoàn thành", f"{_OBSTACLES}, `period-open`"),
}
"""Codes of files, of commands and of lists of errors."""


def problems() -> Iterator[str]:
    """Every problem code with its status, meaning and the services that use it."""
    yield "# Problem codes\n"
    yield "Every refusal is `application/problem+json` (RFC 9457) with one of these stable codes; intake receipts bear"
    yield "them too. Nothing is appended by a refused request. Generated by `make reference`.\n"
    yield "| code | status | meaning | nghĩa | services |"
    yield "|---|---|---|---|---|"
    codes: dict[str, tuple[Problem, list[str]]] = {}
    for service, table in OF.items():
        for code, problem in table.items():
            codes.setdefault(code, (problem, []))[1].append(service)
    for code, (problem, services) in sorted(codes.items()):
        yield f"| `{code}` | {problem.status} | {problem.title_en} | {problem.title_vi} | {', '.join(services)} |"
    yield from _listed()


def _listed() -> Iterator[str]:
    yield "\n## Codes of files, commands and lists\n"
    yield "What a command says of a file, and what is listed in the `errors` of a problem beside the codes above.\n"
    yield "| code | meaning | nghĩa | where it shows |"
    yield "|---|---|---|---|"
    for code, listed in sorted(LISTED.items()):
        yield f"| `{code}` | {listed.en} | {listed.vi} | {listed.where} |"


def findings() -> Iterator[str]:
    """Every finding of an audit."""
    yield "# Findings\n"
    yield "What `parindex audit` can find wrong in an exported archive, by the check that finds it."
    yield "Generated by `make reference`.\n"
    yield "| check | finding | meaning | nghĩa |"
    yield "|---|---|---|---|"
    for code, meaning in FINDINGS.items():
        yield f"| {TITLES[meaning.check][1]} | `{code}` | {meaning.en} | {meaning.vi} |"


def settings() -> Iterator[str]:
    """Every setting of a service."""
    yield "# Settings\n"
    yield "Environment variables of each service process; a wrong or missing one stops the start with one line."
    yield "Generated by `make reference`.\n"
    yield settings_table().rstrip("\n")


def events() -> Iterator[str]:
    """Every event type with what it says."""
    yield "# Event types\n"
    yield "The schema of each is in `deploy/schemas/events/`. *public*: its data may be shown once the period is"
    yield "published; *erasable*: no score rests on it. Generated by `make reference`.\n"
    yield "| type | public | erasable | meaning |"
    yield "|---|---|---|---|"
    for tag, event in sorted(catalogue().items()):
        meaning = " ".join((event.__doc__ or "").split("\n\n")[0].split())
        yield f"| `{tag}` | {_mark(event.public)} | {_mark(event.erasable)} | {meaning} |"


def _mark(said: bool) -> str:
    return "yes" if said else "no"


def routes() -> Iterator[str]:
    """Every route with the roles that may."""
    yield "# Routes and roles\n"
    yield "Who may call what. A route's guard asks for one of the roles marked; who has none of them is answered"
    yield "`role-missing`, who has no token `token-missing`. Agency, field and seat are asked for besides: see the"
    yield "README of each service. *public* routes take no token. Generated by `make reference`.\n"
    yield f"| service | route | public | {' | '.join(Role)} |"
    yield "|---|---|" + ":-:|" * (len(Role) + 1)
    for route in all_routes():
        marks = ["" if route.roles else "✓", *("✓" if role in route.roles else "" for role in Role)]
        yield f"| {route.service} | `{route.method} {route.path}` | {' | '.join(marks)} |"


PAGES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "problems.md": problems,
    "findings.md": findings,
    "settings.md": settings,
    "events.md": events,
    "routes.md": routes,
}


def main() -> int:
    """Write the pages, or with `--check` compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare with what is committed")
    check, stale = parser.parse_args().check, []
    for name, page in PAGES.items():
        path, text = FOLDER / name, "\n".join(page()) + "\n"
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(f"docs/{name} is not what the code says: run `make reference`\n")
    sys.stdout.writelines(stale)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
