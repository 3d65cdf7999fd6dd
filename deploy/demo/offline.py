"""`python -m deploy.demo.offline ARGUMENTS`: the command line in a process that can reach no server."""

import sys
from typing import Final

FORBIDDEN: Final = frozenset(("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"))


def refuse(event: str, _: tuple[object, ...]) -> None:
    """An audit hook of the interpreter (PEP 578): OSError for whatever would reach another process by a socket."""
    if event in FORBIDDEN:
        raise OSError(f"{event}: this process has no network")


if __name__ == "__main__":
    sys.addaudithook(refuse)
    from deploy.cli import main

    main()
