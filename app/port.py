"""Where the app listens: looked for before the model is loaded, and again when it is, for others may be quicker."""

import socket

from vljepa.errors import VLJEPAError

FIRST_PORT, PORTS_TRIED = 7860, 20


def free_port(host: str, port: int | None, quiet: bool = False) -> int:
    """`port` if it is free, or without a wish the first free one; VLJEPAError if there is none.

    Unless `quiet` it prints that the usual one is not.
    """
    wanted = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else [port]
    for candidate in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except PermissionError:
                raise VLJEPAError(f"port {candidate} is reserved by the system; choose one above 1024") from None
            except OSError as error:
                if candidate == wanted[0] and port is None and not quiet:
                    print(f"Port {candidate} is in use; trying the next ones.", flush=True)
                reason = error.strerror or str(error)
                continue
            return candidate
    busy = f"port {port} on {host}" if port is not None else f"every port from {FIRST_PORT} to {wanted[-1]} on {host}"
    raise VLJEPAError(f"{busy} cannot be used ({reason}); choose another with --port or leave it out")
