"""The commands of `parindex`, a module for each kind of work."""
