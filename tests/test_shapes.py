"""The shapes world: the same seed gives the same clips, and what is said of a clip is what its pixels show."""

import json
from pathlib import Path

import numpy as np
import pytest

from vljepa.shapes import all_captions, before_after, captions, clips, film, puzzles, questions, scenes, vocabulary
from vljepa.shapes.language import action_phrases, claims, words
from vljepa.shapes.render import random_view, render
from vljepa.shapes.world import (
    ACTIONS,
    APPEAR,
    COLLIDE,
    COLOURS,
    DOWN,
    ENTER,
    LEAVE,
    LEFT,
    RIGHT,
    SHAPES,
    TURN,
    UP,
    State,
    act,
    before,
    is_unseen,
    possible,
    start_states,
)

PALETTE = np.array(list(COLOURS.values()), dtype=float)


@pytest.fixture(scope="module")
def many():
    return clips(7, 400)


def coloured(many, index, frame):
    """Number of the colour nearest to each pixel, -1 where none is near: found by pixels and the light alone."""
    seen = many.frames[index, frame].astype(float) / many.view.gain[index, frame]
    distance = np.linalg.norm(seen[:, :, None] - PALETTE, axis=-1)
    return np.where(distance.min(-1) < 22, distance.argmin(-1), -1)


def middle(many, index, frame, colour):
    """Where the pixels of a colour are, in pixels of a camera at rest; None if there are none."""
    y, x = np.nonzero(coloured(many, index, frame) == colour)
    shift = many.view.shift[index, frame]
    return None if len(x) < 6 else np.array([x.mean() + 0.5, y.mean() + 0.5]) - shift


def alone(many, action=None):
    """Clips of an actor with neither bystander nor container."""
    start = many.motion.start
    chosen = ~start.present[:, 1] & (start.container == 0)
    return np.flatnonzero(chosen if action is None else chosen & (many.motion.action == action)).tolist()


def test_the_same_seed_gives_the_same_clips_and_another_seed_others():
    one, again, other = clips(3, 20), clips(3, 20), clips(4, 20)
    np.testing.assert_array_equal(one.frames, again.frames)
    assert [captions(one.motion, i) for i in range(20)] == [captions(again.motion, i) for i in range(20)]
    assert (one.frames != other.frames).any()
    first, second = puzzles(3, 5), puzzles(3, 5)
    np.testing.assert_array_equal(first.clips, second.clips)
    np.testing.assert_array_equal(film(3, 4).frames, film(3, 4).frames)


def test_every_action_and_every_shape_occurs(many):
    assert set(many.motion.action) == set(range(len(ACTIONS)))
    assert set(many.motion.start.shape[:, 0]) == set(range(len(SHAPES)))


def test_the_moving_thing_is_where_the_truth_says_in_its_colour(many):
    checked = 0
    for i in alone(many):
        for frame, place in ((0, many.motion.start.xy[i, 0]), (7, many.motion.end.xy[i, 0])):
            state = many.motion.start if frame == 0 else many.motion.end
            found = middle(many, i, frame, state.colour[i, 0])
            if not state.present[i, 0]:
                assert found is None
                continue
            assert found == pytest.approx(place, abs=1.6)
            checked += 1
    assert checked > 50


def test_a_caption_names_the_direction_in_which_the_pixels_move(many):
    for action, axis, sign, word in ((LEFT, 0, -1, "left"), (RIGHT, 0, 1, "right"), (UP, 1, -1, "up"),
                                     (DOWN, 1, 1, "down")):
        for i in alone(many, action):
            colour = many.motion.start.colour[i, 0]
            way = middle(many, i, 7, colour) - middle(many, i, 0, colour)
            assert way[axis] * sign > 12 and abs(way[1 - axis]) < 3
            assert word in captions(many.motion, i)[0]


def test_answers_are_true_of_the_pixels(many):
    rng = np.random.default_rng(0)
    kinds = set()
    for i in alone(many):
        seen = [{c for c in range(8) if (coloured(many, i, frame) == c).sum() > 5} for frame in (0, 7)]
        for question in questions(many.motion, i, rng):
            kinds.add(question.kind)
            assert question.answer in question.candidates
            if question.kind == "colour" and many.motion.end.present[i, 0]:
                assert {tuple(COLOURS).index(question.answer)} == seen[1]
            if question.kind == "count":
                assert question.answer == ("none", "one")[len(seen[0])]
            if question.kind == "presence" and question.answer == "yes":
                assert any(tuple(COLOURS)[c] in question.text for c in seen[0] | seen[1])
    assert kinds == {"action", "who", "count", "colour", "presence"}


def test_nothing_moves_outside_an_event_but_the_view(many):
    still = random_view(np.random.default_rng(0), 400, 8)
    still.shift[:], still.gain[:] = 0.0, 1.0
    time = (np.arange(8) - many.event[:, :1]) / (many.event[:, 1:] - many.event[:, :1])
    frames = render(many.motion, np.clip(time, 0, 1), still)
    for i, (start, stop) in enumerate(many.event):
        assert (frames[i, : start + 1] == frames[i, 0]).all() and (frames[i, stop:] == frames[i, 7]).all()
        assert (frames[i, 0] != frames[i, 7]).any() == (ACTIONS[many.motion.action[i]] != "rest")


def test_camera_and_light_change_the_picture_but_not_what_is_said(many):
    rng = np.random.default_rng(1)
    one, other = (render(many.motion, np.ones((400, 8)), random_view(rng, 400, 8)) for _ in range(2))
    assert (np.abs(one.astype(int) - other).mean(axis=(1, 2, 3, 4)) > 2).mean() > 0.95


def test_a_thing_in_a_container_is_half_hidden_and_a_collision_moves_the_other(many):
    motion = many.motion
    inside = motion.action == ENTER
    np.testing.assert_allclose(motion.end.xy[inside, 0] - motion.end.container_xy[inside], [[0, -7]] * inside.sum())
    assert motion.end.inside[inside, 0].all()
    hit = motion.action == COLLIDE
    assert (np.linalg.norm(motion.end.xy[hit, 1] - motion.start.xy[hit, 1], axis=1) > 1).mean() > 0.9


def test_appearing_begins_without_and_leaving_ends_without(many):
    motion = many.motion
    assert not motion.start.present[motion.action == APPEAR, 0].any()
    assert motion.end.present[motion.action == APPEAR, 0].all()
    assert not motion.end.present[motion.action == LEAVE, 0].any()


def test_held_out_pairs_are_in_no_training_clip_and_are_every_unseen_actor(many):
    for state in (many.motion.start, many.motion.end):
        shown = is_unseen(state.shape, state.colour) & state.present
        assert not shown.any()
    unseen = clips(1, 200, unseen=True).motion.start
    assert is_unseen(unseen.shape[:, 0], unseen.colour[:, 0]).all()


def test_a_puzzles_candidates_differ_and_the_picture_after_is_of_the_right_one():
    made = puzzles(2, 60)
    actions = np.stack([motion.action for motion in made.motions], axis=1)
    assert all(len(set(row)) == 4 for row in actions.tolist())
    assert set(made.right) == {0, 1, 2, 3}
    assert (made.pictures[:, 0] != made.pictures[:, 7]).any(axis=(1, 2, 3)).all()
    for i in np.flatnonzero(actions[np.arange(60), made.right] >= TURN):
        truth = made.motions[made.right[i]].end
        assert truth.colour[i, 0] != made.motions[0].start.colour[i, 0]


def test_before_and_after_are_the_ends_of_the_action():
    pairs = before_after(5, 30)
    still = random_view(np.random.default_rng(0), 30, 8)
    still.shift[:], still.gain[:] = 0.0, 1.0
    ends = render(pairs.motion, np.tile([0.0] * 4 + [1.0] * 4, (30, 1)), still)
    assert (ends[:, 0] == ends[:, 3]).all() and (ends[:, 0] != ends[:, 7]).any(axis=(1, 2, 3)).all()


def test_a_films_events_are_timed_and_its_rests_are_still():
    made = film(11, 6)
    assert len(made.motions) == 6 and len(made.frames) == round(12 * made.fps)
    assert (made.events_s[1:, 0] == made.boundaries_s).all()
    for start, stop in made.events_s:
        between = made.frames[round(start * made.fps) : round(stop * made.fps)].astype(int)
        rest = made.frames[round(stop * made.fps) : round((stop + 0.5) * made.fps)].astype(int)
        assert np.abs(between[0] - between[-1]).max() > 40
        assert np.abs(np.diff(rest, axis=0)).mean() < np.abs(between[-1] - between[0]).mean()


def test_scenes_follow_each_other_by_cuts_and_move_only_in_their_events():
    made = scenes(4, 3, fps=10.0)
    assert len(made.frames) == 90 and made.boundaries_s.tolist() == [3.0, 6.0] and len(made.motions) == 3
    changed = np.abs(np.diff(made.frames.astype(int), axis=0)).mean((1, 2, 3))
    assert changed[[29, 59]].min() > np.delete(changed, [29, 59]).max()
    np.testing.assert_allclose(made.events_s, [[0.4, 1.6], [3.4, 4.6], [6.4, 7.6]])


def test_every_plain_caption_is_known_and_every_word_is_in_the_vocabulary(many):
    plain, known = set(all_captions()), set(vocabulary())
    rng = np.random.default_rng(0)
    for i in range(200):
        said = captions(many.motion, i)
        assert said[0] in plain
        assert len(said) == 4
        texts = [*said, *(t for q in questions(many.motion, i, rng) for t in (q.text, q.answer))]
        assert {w for text in texts for w in words(text)} <= known
    assert len(action_phrases()) == len(set(action_phrases())) == len(ACTIONS) + 1  # two containers


def test_every_caption_makes_true_claims_and_anothers_are_told_apart(many):
    motion = many.motion
    for i in range(60):
        for text in captions(motion, i, 6, seed=1):
            found = claims(text, motion, i)
            assert all(found.values()) and {"colour", "shape", "action"} <= found.keys(), text
        other = (i + 1) % 60
        found = claims(captions(motion, other, 1)[0], motion, i)
        for name in ("colour", "shape", "size"):
            mine, theirs = (int(getattr(motion.start, name)[k, 0]) for k in (i, other))
            assert found[name] == (mine == theirs)
        assert found["action"] == (doing(motion, i) == doing(motion, other))


def doing(motion, i: int) -> tuple:
    """What happens in a clip, with whatever it happens to."""
    start, action = motion.start, int(motion.action[i])
    with_what = {COLLIDE: (start.shape[i, 1], start.colour[i, 1]), ENTER: (start.container[i],)}.get(action, ())
    return action, *map(int, with_what)


def test_a_claim_in_passing_about_a_thing_that_is_not_there_is_false(many):
    alone = int(np.flatnonzero(~many.motion.start.present[:, 1])[0])
    said = f"{captions(many.motion, alone, 1)[0]} near a red ball"
    assert claims(said, many.motion, alone)["other"] is False
    assert claims("nothing of the kind", many.motion, alone) == {"action": False}


def test_too_few_possible_actions_are_an_error():
    from vljepa.shapes.world import draw_actions

    can = np.zeros((1, len(ACTIONS)), bool)
    can[0, LEAVE] = True
    with pytest.raises(ValueError, match="allows 1 actions, fewer than 4"):
        draw_actions(np.random.default_rng(0), can, 4)


def test_acting_on_one_scene_is_acting_on_it_among_others():
    rng = np.random.default_rng(0)
    state: State = start_states(rng, 30, False)
    can = possible(state, False)
    action = np.where(can[:, RIGHT], RIGHT, TURN + (state.colour[:, 0] + 1) % 8)
    together = act(rng, before(state, action), action)
    for i in (0, 7, 29):
        single = act(rng, before(state.take(np.array([i])), action[[i]]), action[[i]])
        np.testing.assert_array_equal(single.end.xy[0], together.end.xy[i])


def test_the_measured_speed_is_enough_to_draw_while_training():
    measured = json.loads((Path(__file__).parent.parent / "benchmarks/shapes.json").read_text())
    assert measured["clips_per_second"] >= 2000
