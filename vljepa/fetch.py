"""`python -m vljepa fetch`: bring public weights, or what somebody shared, onto this machine before they are needed."""

import argparse

from vljepa.errors import CheckpointError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fetch`."""
    parser.add_argument("name", metavar="NAME", help="open-vljepa, clip, siglip2, or somebody's user/name on the hub")
    parser.add_argument("--tokenizers", nargs=2, metavar=("QUERY", "TEXT"),
                        help="repositories of open-vljepa's tokenizers, Llama 3.2's and EmbeddingGemma's (default: "
                             "ungated copies, or what VLJEPA_TOKENIZERS names)")
    parser.add_argument("--device", help="where the caption bank is embedded: cpu, cuda (default: a GPU if there "
                                       "is one)")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), help="default: the device's fast one")


def run(args: argparse.Namespace) -> None:
    """Fetch and say where it is. CheckpointError if something was in the way."""
    from vljepa import hub
    from vljepa.checkpoint import fetch_repository
    from vljepa.public import PUBLIC, prepare

    if args.name in PUBLIC:
        folder = prepare(args.name, args.device, args.dtype, tokenizers=args.tokenizers and tuple(args.tokenizers))
    elif hub.is_repository(args.name):
        folder = fetch_repository(args.name)
    else:
        raise CheckpointError(f"there is no public checkpoint {args.name!r}; there are {', '.join(PUBLIC)}, and "
                              "whatever is shared as user/name")
    print(f"{args.name} is in {folder} and needs no network from now on.")
