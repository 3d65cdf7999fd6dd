"""What stops a command: one line that says what is wrong and how to mend it."""


class Fault(Exception):
    """A command cannot do what was asked; its text is the one line that the user reads."""
