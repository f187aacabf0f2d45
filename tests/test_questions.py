"""Questions by rule: worked captions with known answers, and the promises that hold for any captions."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from jaxtyping import TypeCheckError

from vljepa.questions import (
    ACTIONS,
    COLOURS,
    COUNTS,
    KINDS,
    PLACES,
    PRESENCE_OBJECTS,
    Kind,
    Question,
    daquar_questions,
    evaluation_questions,
    training_questions,
)

DOG = ["A brown dog runs on the beach.", "A brown dog running along a beach", "The dog runs across the sand."]
MEN = ["Two men play guitar on a stage.", "Two men playing guitars on stage.", "Two guys play music on a stage"]
KITCHEN = ["A woman cooks in a kitchen", "A lady in a red shirt cooking in a kitchen", "A woman in a red shirt cooks."]
CAT = ["A cat sleeps on a couch.", "A black and white cat is sleeping on the sofa.", "A cat asleep on a red couch."]
SNOW = ["A child sleds in the snow.", "A kid on a sled in the snow", "A small child sledding down a snowy hill"]
PHOTOS = [DOG, MEN, KITCHEN, CAT, SNOW] * 3


def _asked(captions: list[list[str]], kind: Kind, photo: int = 0) -> dict[str, str]:
    return {q.text: q.answer for q in evaluation_questions(captions, kind, 0) if q.photo == photo}


def _flickr8k(split: str) -> list[list[str]]:
    """The split's captions where the data is at hand, else the photos described above."""
    file = Path(os.environ.get("VLJEPA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "flickr8k.jsonl"
    if not file.exists():
        return PHOTOS
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    return [row["captions"] for row in rows if row["split"] == split]


@pytest.fixture(scope="module")
def val() -> list[list[str]]:
    return _flickr8k("val")


@pytest.fixture(scope="module")
def on_val(val: list[list[str]]) -> dict[str, list[Question]]:
    return {kind: evaluation_questions(val, kind, seed=0) for kind in KINDS}


def test_presence_is_yes_where_two_captions_name_the_object_or_a_synonym() -> None:
    asked = _asked([CAT, DOG], "presence")
    assert asked["Is there a couch?"] == "yes"  # couch, sofa
    assert asked["Is there a cat?"] == "yes"


def test_presence_is_no_only_where_nothing_leaves_the_object_in_doubt() -> None:
    boys = ["A boy plays.", "A boy on grass plays"]
    girls = ["A girl sings loudly.", "A girl sings"]
    doubtful = ["A child reads.", "A girl reads a book"]  # the child may be a boy, the girl may be somebody's mistake
    asked = [_asked([boys, girls, doubtful], "presence", photo) for photo in range(3)]
    assert [a.get("Is there a boy?") for a in asked] == ["yes", "no", None]


def test_a_man_on_the_photo_leaves_no_doubt_about_a_person() -> None:
    questions = evaluation_questions([MEN, CAT], "presence", 0)
    assert {q.answer for q in questions if q.text == "Is there a person?" and q.photo == 0} == {"yes"}
    assert {q.answer for q in questions if q.text == "Is there a person?" and q.photo == 1} == {"no"}


def test_a_bike_is_not_a_bicycle_where_another_caption_says_motorcycle() -> None:
    motorcycle = ["A man rides a bike.", "A bike on a road.", "A motorcycle on a road"]
    bicycle = ["A boy with a bicycle", "A boy and his bike"]
    asked = [_asked([bicycle, CAT, motorcycle], "presence", photo) for photo in range(3)]
    assert asked[0]["Is there a bicycle?"] == "yes"
    assert "Is there a bicycle?" not in asked[2]


def test_longer_terms_win_so_that_a_hot_dog_is_no_dog() -> None:
    hot_dog = ["A woman eats a hot dog.", "A woman eating a large hot dog"]
    assert "Is there a dog?" not in {t for t, a in _asked([hot_dog, DOG, CAT], "presence").items() if a == "yes"}


def test_presence_is_balanced_for_every_object_so_that_language_alone_scores_half(
    on_val: dict[str, list[Question]], val: list[list[str]]
) -> None:
    trained = [q for q in training_questions(val, 0) if q.kind == "presence"]
    assert sum(q.answer == "yes" for q in trained) * 2 == len(trained)
    answers: dict[str, Counter[str]] = {}
    for q in on_val["presence"]:
        answers.setdefault(q.text, Counter())[q.answer] += 1
    assert all(0 < of_object["yes"] == of_object["no"] <= 50 for of_object in answers.values())


def test_negatives_prefer_photos_whose_objects_often_come_with_the_absent_one() -> None:
    with_frisbee, dog, cat = ["A dog and a frisbee"] * 2, ["A dog walks"] * 2, ["A cat on a couch"] * 2
    captions = [with_frisbee] * 10 + [dog] * 10 + [cat] * 80
    questions = [q for q in evaluation_questions(captions, "presence", 0) if q.text == "Is there a frisbee?"]
    assert sorted(q.photo for q in questions if q.answer == "yes") == list(range(10))
    negatives = [q.photo for q in questions if q.answer == "no"]
    assert len(negatives) == 10
    assert sum(10 <= photo < 20 for photo in negatives) >= 6  # of 90 photos, 10 show a dog: 1 would be expected


def test_no_object_is_asked_for_whose_absence_captioners_leave_unsaid() -> None:
    assert len(PRESENCE_OBJECTS) > 80
    assert not {"shirt", "hat", "camera", "building"} & set(PRESENCE_OBJECTS)


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        (DOG, {"What colour is the dog?": "brown"}),
        (KITCHEN, {"What colour is the woman's shirt?": "red"}),
        (CAT, {"What colour is the couch?": "red"}),  # the cat is black and white: not asked
        (["A gray horse", "A grey horse"], {"What colour is the horse?": "grey"}),
        (["A tan dog", "A light brown dog"], {"What colour is the dog?": "brown"}),
        (["A black dog", "A white dog"], {}),
        (["A black dog with white paws", "A dog"], {}),
        (["A striped blue shirt", "a shirt"], {}),
        (["A man in blue and a dog", "A dog sits"], {}),
        (["Two brown dogs", "Brown dogs"], {}),
        (["A man in black shorts", "a man"], {"What colour are the man's shorts?": "black"}),
    ],
)
def test_colour_is_asked_where_captions_agree_on_one(captions: list[str], expected: dict[str, str]) -> None:
    assert _asked([captions] * 8, "colour", 7) | _asked([captions], "colour") == expected


@pytest.mark.parametrize(
    ("captions", "question", "answer"),
    [
        (DOG, "How many dogs are there?", "one"),
        (MEN, "How many men are there?", "two"),
        (["Three dogs run.", "Three brown dogs", "A dog leads the others"], "How many dogs are there?", "three"),
        (["Two dogs", "Two dogs play", "Three dogs run"], "How many dogs are there?", None),
        (["A dog", "A dog runs", "A dog and another dog"], "How many dogs are there?", None),
        (["A man", "A man sits", "A man smiles", "Several people sit"], "How many men are there?", None),
        (["A man", "A man sits", "A man and a woman"], "How many people are there?", None),
        (["A couple kisses", "A couple", "A couple hugs"], "How many people are there?", None),
        (["Seven dogs", "Seven dogs run"], "How many dogs are there?", None),
    ],
)
def test_count_is_asked_where_captions_agree_and_none_contradicts(
    captions: list[str], question: str, answer: str | None
) -> None:
    assert _asked([captions], "count").get(question) == answer


@pytest.mark.parametrize(
    ("captions", "question", "answer"),
    [
        (DOG, "What is the dog doing?", "running"),
        (MEN, "What is happening?", "playing music"),
        (CAT, "What is the cat doing?", None),
        (["A boy plays soccer", "A boy runs, soccer ball", "A boy runs"], "What is the boy doing?", "playing soccer"),
        (["A man eats", "A man eating", "A man dances", "A man dancing"], "What is the man doing?", None),
    ],
)
def test_action_is_the_most_special_one_that_two_captions_tell(
    captions: list[str], question: str, answer: str | None
) -> None:
    assert _asked([captions], "action").get(question) == answer


@pytest.mark.parametrize(
    ("captions", "answer"),
    [(DOG, "on a beach"), (SNOW, "in the snow"), (KITCHEN, "in a kitchen"), (MEN, "on a stage"), (["A dog"] * 2, None)],
)
def test_where_is_the_place_that_two_captions_tell(captions: list[str], answer: str | None) -> None:
    assert _asked([captions], "where").get("Where is this?") == answer


def test_the_same_seed_gives_the_same_questions_and_another_seed_others() -> None:
    assert training_questions(PHOTOS, 3) == training_questions(PHOTOS, 3)
    assert training_questions(PHOTOS, 3) != training_questions(PHOTOS, 4)


def test_training_varies_the_wording_and_evaluation_does_not() -> None:
    wordings = {q.text for q in training_questions([DOG] * 50, 0) if q.kind == "colour"}
    assert {"What colour is the dog?", "What color is the dog?"} < wordings
    assert {q.text for q in evaluation_questions([DOG] * 50, "colour", 0)} == {"What colour is the dog?"}


def test_questions_hold_no_answer_and_answers_are_candidates(
    on_val: dict[str, list[Question]], val: list[list[str]]
) -> None:
    for q in [q for of_kind in on_val.values() for q in of_kind] + training_questions(val[:200], 1):
        assert q.answer in q.candidates
        assert f" {q.answer} " not in f" {q.text.lower().rstrip('?')} "
        assert q.kind in KINDS
        assert 0 <= q.photo < len(val)
    assert [len(set(c)) for c in (COLOURS, COUNTS, ACTIONS, PLACES)] == [11, 4, len(ACTIONS), len(PLACES)]


def test_flickr8k_val_gives_enough_questions_and_no_answer_prevails(
    on_val: dict[str, list[Question]], val: list[list[str]]
) -> None:
    if val is PHOTOS:
        sizes, share = {"presence": 20, "colour": 2, "count": 2, "action": 5, "where": 5}, 1.0
    else:
        sizes, share = {"presence": 2000, "colour": 400, "count": 300, "action": 500, "where": 400}, 0.5
    for kind, questions in on_val.items():
        assert len(questions) >= sizes[kind], kind
        assert max(Counter(q.answer for q in questions).values()) <= share * len(questions), kind


def test_evaluation_refuses_an_unknown_kind() -> None:
    with pytest.raises((ValueError, TypeCheckError), match="presence"):  # the tests' shape checker comes first
        evaluation_questions(PHOTOS, "smell", 0)  # type: ignore[arg-type]


def test_no_photos_give_no_questions() -> None:
    assert training_questions([], 0) == []
    assert evaluation_questions([["A dog"]], "presence", 0) == []


def test_daquar_is_spelled_like_the_other_questions_and_kept_to_the_photos_given() -> None:
    rows = [
        {"file": "b.webp", "question": "how man chairs are there in the image2", "answer": "6"},
        {"file": "a.webp", "question": "what colour is the door", "answer": "gray"},
        {"file": "c.webp", "question": "what is  on the table", "answer": "refridgerator"},
        {"file": "b.webp", "question": "what is on the bed", "answer": "pillow, blanket"},
    ]
    found = daquar_questions(rows, ["a.webp", "b.webp"])
    assert [(q.photo, q.kind, q.text, q.answer) for q in found] == [
        (1, "count", "How many chairs are there?", "six"),
        (0, "colour", "What colour is the door?", "grey"),
        (1, "object", "What is on the bed?", "pillow and blanket"),
    ]
    assert found[2].candidates == ("pillow and blanket", "refrigerator")
