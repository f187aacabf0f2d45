"""Cuts by the clock and by pixels, and references in the forms that people have them in."""

import numpy as np
import pytest
from test_export import analysis

from vljepa.baselines import frame_changes, read_reference, strongest_changes, uniform_boundaries
from vljepa.export import to_csv, to_json
from vljepa.video import Frame, VideoInfo


class Flashes:
    """Black for a second, white for a second and a half, grey for half a second: cuts at 1.0 and 2.5 s."""

    info, warning = VideoInfo("flashes", 3.0, 8.0, 64, 36), None

    def frames(self, rate_hz, size=None):
        for k in range(round(3 * rate_hz)):
            shade = 0 if k < rate_hz else 255 if k < 2.5 * rate_hz else 128
            yield Frame(k / rate_hz, np.full((size[1], size[0], 3), shade, np.uint8))

    def close(self):
        pass


def test_uniform_segments_are_equal():
    assert uniform_boundaries(30.0, 3) == [10.0, 20.0]
    assert uniform_boundaries(30.0, 1) == []


def test_pixels_change_at_the_cuts_alone_and_the_strongest_come_first():
    changes = frame_changes(Flashes(), 8.0)
    assert np.flatnonzero(changes).tolist() == [8, 20] and changes[8] > changes[20]
    assert strongest_changes(changes, 8.0, 2) == [7.5 / 8]
    assert strongest_changes(changes, 8.0, 3, min_length_s=0.5) == [7.5 / 8, 19.5 / 8]
    assert strongest_changes(changes, 8.0, 9, min_length_s=0.0) == [7.5 / 8, 19.5 / 8]


def test_cuts_by_pixels_keep_their_distance_from_each_other_and_the_ends():
    changes = np.array([0, 9, 0, 0, 8, 7, 0, 0, 6, 0, 0, 5.0])
    assert strongest_changes(changes, 1.0, 5, min_length_s=2.0) == [3.5, 7.5]


def test_a_reference_is_read_from_what_we_write():
    for name, written in (("a.json", to_json(analysis())), ("a.csv", to_csv(analysis()))):
        assert read_reference(name, written.decode()) == [2.0]


@pytest.mark.parametrize("text", [
    "[2.5, 4, 0.0]", '{"scenes": [{"start_s": 0.0}, {"start_s": 2.5}, {"start_s": 4.0}]}',
    "start_s,end_s\n0,2.5\n2.5,4\n4,9\n",
    "Timecode List:,00:00:02.500,00:00:04.000\nScene Number,Start Frame,Start Time (seconds)\n1,0,0.0\n2,62,2.5\n"
    "3,100,4.0\n",
])
def test_a_reference_is_read_from_what_others_write(text):
    assert read_reference("theirs", text) == [2.5, 4.0]


@pytest.mark.parametrize(("text", "told"), [
    ("{}", "theirs is no list of segments"), ("[1, \"x\"]", "no list of segments"), ("[", "no list of segments"),
    ("", "no column start_s"), ("a,b\n1,2\n", "no column start_s"), ("start_s\nsoon\n", "something else than seconds"),
    ("[]", "must list 1 to 10000 segments, got 0"), ("[-1.0]", "0 s or more, got -1"), ("[NaN]", "0 s or more"),
])  # fmt: skip
def test_a_reference_that_is_none_is_told_in_a_sentence(text, told):
    with pytest.raises(ValueError, match=told):
        read_reference("theirs", text)
