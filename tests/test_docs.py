"""The documentation tells the truth: commands exist, links lead somewhere, generated pages are current, stories run."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer
from fastapi.routing import iter_route_contexts

from deploy.cli import application
from deploy.reference import LISTED, OF, PAGES
from services.scoring.findings import FINDINGS
from shared.settings import variable
from tests.shared.local_app import settings_in

ROOT = Path(__file__).parents[1]
PAGES_OF_TEXT = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("services/*/README.md"),
        ROOT / "deploy/README.md",
    ]
)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands() -> set[str]:
    """Every command as it is typed, `archive export`."""

    def walk(group: typer.Typer, before: str) -> set[str]:
        found = set()
        for command in group.registered_commands:
            name = command.name or (command.callback.__name__.replace("_", "-") if command.callback else "")
            found.add(f"{before}{name}")
        for inner in group.registered_groups:
            assert inner.typer_instance is not None
            found |= walk(inner.typer_instance, f"{before}{inner.name} " if isinstance(inner.name, str) else before)
        return found

    return walk(application(), "")


@pytest.mark.parametrize("page", PAGES_OF_TEXT)
def test_every_link_leads_to_a_file(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text(page)):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES_OF_TEXT)
def test_every_command_in_the_docs_exists(page: str) -> None:
    known = commands()
    said = re.findall(r"(?:^|`|\(|\$ |\| )parindex ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", text(page), re.MULTILINE)
    for words in said:
        first = words.split()[0]
        assert words in known or first in known, f"parindex {words}"


@pytest.mark.parametrize("page", PAGES_OF_TEXT)
def test_every_make_target_in_the_docs_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    for target in re.findall(r"`make ([a-z]+)`|\$ make ([a-z]+)", text(page)):
        assert (target[0] or target[1]) in targets


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_generated_pages_are_what_the_code_says(page: str) -> None:
    assert text(f"docs/{page}") == "\n".join(PAGES[page]()) + "\n"


SERVICES = ("submission", "appraisal", "survey", "scoring")
TELLING = {"Rejected": 0, "RubricError": 0, "SheetFault": 0, "Obstacle": 0, "problem": 1}
"""What a code is told by, and which of its arguments the code is."""
TABLES = {"PROBLEMS", "LISTED", "FINDINGS"}


def trees(*folders: str) -> Iterator[ast.Module]:
    return (ast.parse(path.read_text(encoding="utf-8")) for each in folders for path in (ROOT / each).rglob("*.py"))


def strings(node: ast.AST) -> set[str]:
    """Every string within, but for what the tables of codes hold."""
    found, waiting = set[str](), [node]
    while waiting:
        at = waiting.pop()
        if isinstance(at, ast.Constant) and isinstance(at.value, str):
            found.add(at.value)
        elif not (isinstance(at, ast.AnnAssign) and isinstance(at.target, ast.Name) and at.target.id in TABLES):
            waiting += ast.iter_child_nodes(at)
    return found


def codes_told(node: ast.AST) -> set[str]:
    """The codes that are written where a refusal, an obstacle or an error of a list is made."""
    found = set[str]()
    for at in ast.walk(node):
        if isinstance(at, ast.Call):
            name = at.func.id if isinstance(at.func, ast.Name) else getattr(at.func, "attr", "")
            place = TELLING.get(name, len(at.args))
            found |= strings(at.args[place]) if place < len(at.args) else set()
        elif isinstance(at, ast.Dict):
            for key, value in zip(at.keys, at.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                    found |= strings(value)
    return found


def test_every_code_that_the_tree_tells_is_documented() -> None:
    told = set().union(*map(codes_told, trees("shared", "services", "deploy")))
    assert len(told) > 100
    assert told - LISTED.keys() - {code for table in OF.values() for code in table} == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_problem_of_a_service_can_come(service: str) -> None:
    said = set().union(*map(strings, trees("shared", f"services/{service}")))
    assert (OF[service].keys() | OF["all services"].keys()) - said == set()


def test_every_other_code_and_every_finding_can_come() -> None:
    said = set().union(*map(strings, trees("shared", "services", "deploy")))
    assert (LISTED.keys() | FINDINGS.keys()) - said == set()


def test_every_setting_that_the_compose_file_gives_is_documented() -> None:
    given = set(re.findall(r"\bPARINDEX_[A-Z0-9_]+", text("docker-compose.yml")))
    documented = set(re.findall(r"`(PARINDEX_[A-Z0-9_]+)`", text("docs/settings.md")))
    documented |= {f"{name}_FILE" for name in map(variable, ("database_url", "s3_access_key", "s3_secret_key"))}
    assert {name for name in given if name.startswith("PARINDEX_")} - documented <= {
        "PARINDEX_ADMIN_URL_FILE",
        "PARINDEX_OWNER_URL_FILE",
        "PARINDEX_ROLE",
    }


def routes_of(service: str, folder: Path) -> dict[str, list[str]]:
    """Method and path of each of a service's own routes, with the roles that may; none means public."""
    found: dict[str, list[str]] = {}
    create = import_module(f"services.{service}.app").create
    app = create(settings_in(folder, service=service))
    for route in iter_route_contexts(app.routes):
        if not (route.path or "").startswith(("/health", "/metrics", "/problems", "/openapi")):
            roles = {role for part in route.dependant.dependencies for role in getattr(part.call, "roles", ())}
            found |= {f"{method} {route.path}": sorted(roles) for method in route.methods or ()}
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_readme_names_each_of_its_routes(service: str, tmp_path: Path) -> None:
    page = text(f"services/{service}/README.md")
    routes = routes_of(service, tmp_path)
    assert routes
    missing = [route for route in routes if route.split(" ", 1)[1].rsplit("/", 1)[1] not in page]
    assert missing == []


@pytest.mark.timeout(400)
def test_the_readmes_story_runs_as_it_stands(tmp_path: Path) -> None:
    section = text("README.md").partition("## A period of your own")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    story = found[1].replace(".parindex/", f"{tmp_path}/")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", story],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(
            [sys.executable, "-m", "deploy.cli", "reset", "--yes", "--home", str(tmp_path / "story")],
            cwd=ROOT,
            check=False,
            capture_output=True,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # 1 + 1 + 1 + 1 + 1 + 1 and a bonus of 1; 0,5 + 1 + 0 + 1 + 0 + 1
    assert re.search(r"1 │ Cơ quan thứ nhất .* 7,00 │", done.stdout), done.stdout
    assert re.search(r"2 │ Cơ quan thứ hai .* 3,50 │", done.stdout), done.stdout
