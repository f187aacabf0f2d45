"""How many clips of the shapes world a second: `python -m docs.measure_shapes`, into benchmarks/shapes.json.

Batches of 256 as training asks for them, drawn by as many threads as there are cores; the second figure also writes
four captions and a question of each kind for every clip, which one thread does.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vljepa.provenance import cores, provenance
from vljepa.shapes import captions, clips, questions

BATCH, BATCHES = 256, 40
OUT = Path(__file__).resolve().parent.parent / "benchmarks/shapes.json"


def main() -> None:
    """Measure, print and write."""
    clips(0, BATCH)
    began = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda seed: len(clips(seed, BATCH)), range(BATCHES)))
    drawn = time.perf_counter() - began
    motion, rng = clips(1, BATCH).motion, np.random.default_rng(0)
    began = time.perf_counter()
    for index in range(BATCH):
        captions(motion, index)
        questions(motion, index, rng)
    told = (time.perf_counter() - began) / BATCH
    rate = BATCH * BATCHES / drawn
    facts = provenance("shapes")
    found = {"clips_per_second": round(rate), "clips_per_second_with_texts": round(1 / (1 / rate + told)),
             "frames": 8, "side": 64, "batch": BATCH,
             **{k: facts[k] for k in ("command", "commit", "machine", "versions", "date")}}
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
