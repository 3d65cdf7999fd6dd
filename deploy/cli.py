"""The command line `parindex`: the commands of all modules in `deploy.commands`."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import typer

from deploy import commands
from deploy.fault import Fault


def application() -> typer.Typer:
    """All commands: a module's `app` has commands of the top, each of its other `Typer`s is the group of its name."""
    app = typer.Typer(
        name="parindex",
        help="Chỉ số cải cách hành chính: four services, one provable history / the administrative reform index.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in iter_modules(commands.__path__):
        found = vars(import_module(f"{commands.__name__}.{module.name}"))
        for name, group in found.items():
            if isinstance(group, typer.Typer):
                app.add_typer(group, name=None if name == "app" else name)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, that of the process without `arguments`; what stops it is one line of error and exit code 1."""
    try:
        application()(arguments)
    except Fault as fault:
        sys.stderr.write(f"parindex: {fault}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
