"""`python -m vljepa train`: which recipe, from which data, into which folder."""

import argparse
import os
from pathlib import Path

from vljepa.console import check_folder
from vljepa.paths import cache_dir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `train`."""
    parser.add_argument("recipe", choices=("everyday", "smoke", "paper"),
                        help="smoke draws its own data and takes a minute; paper is for GPUs, under torchrun")
    parser.add_argument("--data", type=Path, help="folder of training data, laid out as the README says (everyday)")
    parser.add_argument("--work", type=Path, help="where features, states and logs are kept, so that a killed run "
                                                  "goes on (default: the cache folder)")
    parser.add_argument("--out", type=Path, help="folder for the checkpoint (default: in the cache folder, where "
                                                 "`load` finds it by name)")
    _add_paper_arguments(parser)


def _add_paper_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that the recipe `paper` alone has."""
    group = parser.add_argument_group("paper")
    group.add_argument("--shards", metavar="PATTERN", help="WebDataset shards to train on, such as 'data/*.tar' or "
                                                           "'https://host/{000..127}.tar'")
    group.add_argument("--dataset", metavar="NAME", help="or a data set of the hub, streamed: owner/name, a folder, or "
                                                         "owner/name@split (default split: train)")
    group.add_argument("--columns", nargs=2, metavar=("PICTURE", "CAPTION"), help="its columns (default: image or "
                       "video, and caption, captions or text; a column `query` is the question)")
    group.add_argument("--validation-shards", metavar="PATTERN", help="shards for validation (default: none)")
    group.add_argument("--from", dest="start", metavar="NAME", default="open-vljepa",
                       help="checkpoint to go on from, or `parts` for V-JEPA 2, Llama and EmbeddingGemma (%(default)s)")
    group.add_argument("--steps", type=int, default=10_000, help="default: %(default)s")
    group.add_argument("--batch", type=int, default=256, help="samples of all processes together (%(default)s)")
    group.add_argument("--learning-rate", type=float, default=5e-5, help="of the predictor (%(default)s)")
    group.add_argument("--save-every", type=int, default=200, help="steps (%(default)s)")
    group.add_argument("--strategy", choices=("ddp", "fsdp"), default="ddp",
                       help="fsdp shards what ddp copies to every device (%(default)s)")
    group.add_argument("--recompute", action="store_true", help="gradient checkpointing: less memory, more time")
    group.add_argument("--workers", type=int, default=4, help="processes that decode, for each device (%(default)s)")
    group.add_argument("--device", help="cuda or cpu (default: a GPU if there is one)")
    group.add_argument("--tensorboard", type=Path, metavar="DIR", help="write metrics for TensorBoard there, too")


def run(args: argparse.Namespace) -> None:
    """Train and say where the checkpoint is. ValueError if the data is missing or incomplete."""
    work = args.work or cache_dir() / "train" / args.recipe
    out = args.out or cache_dir() / "checkpoints" / args.recipe
    check_folder(out, "--out")
    check_folder(work, "--work")
    if args.recipe == "smoke":
        from vljepa.train.smoke import train_smoke

        train_smoke(work, out)
    elif args.recipe == "paper":
        from vljepa.train.paper import train_paper

        train_paper(args, work, out)
    else:
        if args.data is None or not args.data.is_dir():
            got = "none was given" if args.data is None else f"{args.data} is no folder"
            raise ValueError(f"training `everyday` needs --data, a folder laid out as the README says; {got}")
        from vljepa.train.everyday import train_everyday

        train_everyday(args.data, work, out)
    if int(os.environ.get("RANK", 0)) == 0:  # torchrun starts this many times
        print(f"The checkpoint is in {out}. Logs are in {work}.")
