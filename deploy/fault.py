"""What stops a command: one line that says what is wrong and how to mend it."""


class Fault(Exception):  # noqa: N818 - the word of the command line: the command prints it and exits with 1
    """A command cannot do what was asked; its text is the one line that the user reads."""
