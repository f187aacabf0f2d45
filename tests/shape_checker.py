"""The decorator that jaxtyping's import hook puts on every function of ours while tests run."""

from beartype import BeartypeConf, beartype


def checked(function):
    """Check annotations; an int is a float, as Python's own rules for numbers have it."""
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)
