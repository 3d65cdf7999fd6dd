"""The command line `parindex`: all modules in `deploy.commands`, of which a run imports what its command needs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

import typer

from deploy import commands
from deploy.fault import Fault

MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("clock", "down", "fetch", "logs", "migrate", "reset"), ("stack",)),
    **dict.fromkeys(("secrets", "status", "token", "up", "url"), ("stack",)),
    **dict.fromkeys(("archive", "audit", "keys"), ("archive",)),
    "agencies": ("agencies",),
    "agency": ("agency",),
    "agency-kit": ("kit",),
    "appraise": ("officer",),
    "assess": ("officer",),
    "council": ("council",),
    "demo": ("demo",),
    "period": ("officer", "results"),
    "results": ("results",),
    "rubric": ("rubrics",),
    "survey": ("survey",),
}
"""The modules that a command, or a group of commands, comes from: to import all of them takes seconds."""


def every_module() -> list[str]:
    """The names of all modules with commands."""
    return [module.name for module in iter_modules(commands.__path__)]


def application(modules: Iterable[str] | None = None) -> typer.Typer:
    """The commands of these modules, of all without any: a module's `app` has commands of the top, each of its other
    `Typer`s is the group of its name."""
    app = typer.Typer(
        name="parindex",
        help="Chỉ số cải cách hành chính: four services, one provable history / the administrative reform index.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def top() -> None:
        """Keep the command's own name in its usage, though a run may import one command alone."""

    for module in every_module() if modules is None else modules:
        found = vars(import_module(f"{commands.__name__}.{module}"))
        for name, group in found.items():
            if isinstance(group, typer.Typer):
                app.add_typer(group, name=None if name == "app" else name)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, that of the process without `arguments`; what stops it is one line of error and exit code 1."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        application(MODULES.get(words[0]) if words else None)(arguments)
    except Fault as fault:
        sys.stderr.write(f"parindex: {fault}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
