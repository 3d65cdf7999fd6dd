"""Transparency logs in the formats of C2SP and RFC 9162: pure functions over bytes."""
