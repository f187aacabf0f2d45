"""`python -m vljepa train`: which recipe, from which data, into which folder."""

import argparse
from pathlib import Path

from vljepa.paths import cache_dir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `train`."""
    parser.add_argument("recipe", choices=("everyday", "smoke"), help="smoke draws its own data and takes a minute")
    parser.add_argument("--data", type=Path, help="folder of training data, laid out as the README says (everyday)")
    parser.add_argument("--work", type=Path, help="where features, states and logs are kept, so that a killed run "
                                                  "goes on (default: the cache folder)")
    parser.add_argument("--out", type=Path, help="folder for the checkpoint (default: in the cache folder, where "
                                                 "`load` finds it by name)")


def run(args: argparse.Namespace) -> None:
    """Train and say where the checkpoint is. ValueError if the data is missing or incomplete."""
    work = args.work or cache_dir() / "train" / args.recipe
    out = args.out or cache_dir() / "checkpoints" / args.recipe
    if args.recipe == "smoke":
        from vljepa.train.smoke import train_smoke

        train_smoke(work, out)
    else:
        if args.data is None or not args.data.is_dir():
            raise ValueError(f"training `everyday` needs --data, a folder laid out as the README says; got {args.data}")
        from vljepa.train.everyday import train_everyday

        train_everyday(args.data, work, out)
    print(f"The checkpoint is in {out}. Logs are in {work}.")
