"""How the system is started: the command line, the local stack, containers, migrations."""
