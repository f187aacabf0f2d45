"""The one place where an exception becomes the sentence that the page shows."""

import errno
import functools
import logging
from collections.abc import Callable
from typing import Any

from vljepa.errors import VLJEPAError

Handler = Callable[[dict[str, Any]], dict[str, Any]]
_log = logging.getLogger(__name__)


def sentence_for(error: BaseException) -> str:
    """What to tell the user, in one line: the error's own words where it was written for them."""
    if isinstance(error, VLJEPAError | ValueError) and str(error):
        return _as_sentence(str(error))
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full: make room, then try again."
    if isinstance(error, MemoryError):
        return "This needs more memory than there is: try a lower rate or a smaller film."
    _log.error("unexpected error in the app", exc_info=error)
    return f"Something in the app failed ({type(error).__name__}). The terminal has the details; the app goes on."


def in_one_sentence(handler: Handler) -> Handler:
    """Wrap what the page calls: an exception becomes `{"error": sentence}`, so that the app goes on."""

    @functools.wraps(handler)
    def guarded(request: dict[str, Any]) -> dict[str, Any]:
        try:
            return handler(request)
        except Exception as error:
            return {"error": sentence_for(error)}

    return guarded


def _as_sentence(text: str) -> str:
    line = " ".join(text.split())
    if line.split(" ")[0].isalpha():  # not the name of a file
        line = line[:1].upper() + line[1:]
    return line + ("" if line.endswith((".", "!", "?")) else ".")
