"""The controlled comparison on photos: both arms, from files to figures, on a handful of drawn pictures."""

import json
from dataclasses import replace

import cv2
import pytest

from vljepa.arms import photos
from vljepa.train.smoke import draw_pictures


@pytest.fixture
def data(tmp_path):
    """A folder as the README lays it out, with 24 drawn pictures."""
    pictures, captions = draw_pictures(24, seed=7)
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture[..., ::-1])
    splits = ["train"] * 12 + ["val"] * 6 + ["test"] * 6
    flickr = [{"file": f"{i}.png", "split": split, "captions": captions[i]} for i, split in enumerate(splits)]
    sports = [{"file": f"{i}.png", "split": "val", "label": ("red ball", "blue box")[i % 2]} for i in range(6)]
    for name, rows in (("flickr8k", flickr), ("sports100", sports)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_both_arms_are_trained_on_the_same_photos_and_read_out(data, tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "SCHEDULE", replace(photos.SCHEDULE, steps=2, save_every=2, validate_every=2))
    for name, value in (("BATCH", 8), ("BANK", 8), ("VOCABULARY", 80)):
        monkeypatch.setattr(photos, name, value)
    found = photos.compare_on_photos(data, tmp_path / "work")
    assert set(found["test"]["vljepa"]) == {"cider", "cider_bank", "sports100"}
    assert set(found["test"]["token_vlm"]) == {"cider", "sports100"}
    assert found["parameters_trained"]["token_vlm"] != found["parameters_trained"]["vljepa"]
    assert [point["samples"] for point in found["curves"]["vljepa"]] == [16]
    assert (tmp_path / "work" / "photo_tokens.flickr8k.train.npy").exists()  # encoded once
