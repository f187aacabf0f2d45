"""`python -m app`: starts the page on this machine."""

import argparse
import logging
import os
import sys
from pathlib import Path

# both are read when gradio and the hub client are imported
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# read when numpy is imported: its own threads wait busily after each product, on the cores that model and browser need
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from vljepa.console import Parser, number, tell


def main(arguments: list[str] | None = None) -> int:
    """Run the app; returns the exit status: 0 once stopped, 2 after an error told in one line."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    if _is_here(options.checkpoint) and "HF_HUB_OFFLINE" not in os.environ:
        # then nobody has anything to ask of a hub, gradio neither; but for a checkpoint that is chosen in the page
        os.environ["HF_HUB_OFFLINE"] = os.environ["VLJEPA_NOTHING_UNASKED"] = "1"
    from app.access import check_host, users
    from app.port import free_port
    from vljepa.errors import VLJEPAError

    try:
        allowed = users(options.auth)
        check_host(options.host, allowed, options.no_auth)
        free_port(options.host, options.port, quiet=True)
        from app.server import prepare, serve  # seconds to import, so not for --help or a mistake

        serve(prepare(options.checkpoint, options.device), options.host, options.port, allowed=allowed)
    except (VLJEPAError, ValueError, OSError) as error:
        return tell(error)
    except KeyboardInterrupt:
        print("Stopped.")
    return 0


def _is_here(checkpoint: str) -> bool:
    """Whether a checkpoint lies on this machine; told without importing what reads HF_HUB_OFFLINE."""
    from vljepa.paths import cache_dir

    shipped = Path(__file__).resolve().parent.parent / "checkpoints"
    return any((folder / checkpoint).is_dir() for folder in (shipped, cache_dir() / "checkpoints", Path()))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m app", description="Explore videos with VL-JEPA in a browser. Everything stays on this machine; "
        "no network is needed.", epilog="Exit status: 0 once Ctrl+C stops it, 2 after an error, which is told in one "
        "line.")
    parser.add_argument("--checkpoint", default="everyday",
                        help="name or folder of a checkpoint (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine "
                        "only)")
    parser.add_argument("--port", type=number("1 to 65535", lambda port: 1 <= port <= 65535, int),
                        help="port to listen on (default: the first free one from 7860)")
    parser.add_argument("--auth", metavar="USER:FILE", action="append", default=[], help="who may use the app, and a "
                        "file that holds the password; may be repeated (also VLJEPA_AUTH=USER:PASSWORD)")
    parser.add_argument("--no-auth", action="store_true", help="let everybody use it who can reach --host")
    return parser


if __name__ == "__main__":
    sys.exit(main())
