"""`shapes`: a small moving world that is drawn here, with everything that is true of it known.

Coloured things of several shapes and sizes appear, move, collide, enter containers, change colour and leave, under a
camera and a light that mean nothing. `clips(seed, count)` is the way in; the same seed gives the same clips.
"""

from vljepa.shapes.clips import Clips, Puzzles, before_after, clips, film, puzzles, scenes
from vljepa.shapes.language import Question, action_phrase, all_captions, captions, questions, thing, vocabulary

__all__ = ["Clips", "Puzzles", "Question", "action_phrase", "all_captions", "before_after", "captions", "clips", "film",
           "puzzles", "questions", "scenes", "thing", "vocabulary"]
