"""The command line: which module each command comes from."""

from collections import defaultdict

from typer.main import get_group

from deploy.cli import MODULES, application, every_module


def test_a_run_imports_the_modules_of_its_command_and_only_these() -> None:
    having: dict[str, set[str]] = defaultdict(set)
    for module in every_module():
        for command in get_group(application([module])).commands:
            having[command].add(module)
    # commands of a group may come from a second module, which joins them to the first one's group when it is imported
    assert {name: set(modules) for name, modules in MODULES.items()} == {**having, "period": {"officer", "results"}}


def test_a_command_of_a_second_module_is_there_though_few_are_imported() -> None:
    period = get_group(application(MODULES["period"])).commands["period"]
    assert {"open", "progress", "revise"} <= set(vars(period)["commands"])
