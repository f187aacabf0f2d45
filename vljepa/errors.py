"""The errors a user can cause or meet: each message says what was wrong and what to do about it, in one line."""


class VLJEPAError(Exception):
    """Anything that the app and the command line show as one sentence instead of a traceback."""


class VideoError(VLJEPAError):
    """A video cannot be opened or holds nothing to watch."""


class CheckpointError(VLJEPAError):
    """A checkpoint is unknown, damaged, or does not fit its configuration."""


class ExportError(VLJEPAError):
    """Results cannot be written; nothing half-written is left behind."""


class LibraryError(VLJEPAError):
    """A library of videos is missing, locked, damaged, made with something else, or not complete after indexing."""
