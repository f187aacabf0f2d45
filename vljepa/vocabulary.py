"""The built-in answers: single words and short phrases that the training questions are answered with.

They are what an open question is ranked over, narrowed by what it asks for: a colour, a number, or anything else.
"""

import re
from functools import cache

from vljepa.questions import ACTIONS, COLOURS, COUNTS, PLACES, PRESENCE_OBJECTS

NUMBERS = (*COUNTS, "five", "six", "seven", "eight")
# things of rooms, kitchens and desks, which the objects of outdoor photos lack
INDOORS = """
alarm clock, basket, bathtub, blinds, bookshelf, books, bowl, box, cables, carpet, ceiling, chandelier, clock,
clothes, coffee machine, coffee table, container, cupboard, curtain, cushion, cutting board, desk, dishwasher, door
knob, drawer, dresser, fan, faucet, fireplace, floor, fruit, garbage bin, glass, heater, keyboard, knife, lamp,
laptop, light, magazine, microwave, mirror, monitor, mouse, napkin, night stand, oven, painting, paper, pen, photo,
piano, picture, pillow, plant, plate, pot, printer, refrigerator, remote control, rug, shelf, shoes, shower, sink,
sofa, speaker, spoon, stool, stove, telephone, tissue box, toaster, towel, treadmill, vase, wardrobe, washing machine,
whiteboard
"""
OUTDOORS = """
alley, banana, bread, bucket, cap, cliff, clouds, coat, concrete, crowd, field, food, forest, gloves, helmet, ice,
jeans, lake, leaves, mask, meat, money, mud, ocean, park, path, playground, river, road, salad, sandwich, sky, smoke,
stage, street, sun, sunset, swimming pool, tattoo, team, vegetables, yard, yarn
"""


@cache
def all_answers() -> tuple[str, ...]:
    """Every built-in answer but yes and no, each once."""
    things = [*PRESENCE_OBJECTS, *_listed(INDOORS), *_listed(OUTDOORS)]
    return tuple(dict.fromkeys([*COLOURS, *NUMBERS, *ACTIONS, *PLACES, *things]))


def built_in_answers(question: str) -> list[str]:
    """Those that can answer an open question by what it asks for: colours, numbers, or all but these."""
    if re.search(r"\bcolou?rs?\b", question, re.IGNORECASE):
        return list(COLOURS)
    if re.search(r"\b(how many|number of)\b", question, re.IGNORECASE):
        return list(NUMBERS)
    return [answer for answer in all_answers() if answer not in {*COLOURS, *NUMBERS}]


def _listed(text: str) -> list[str]:
    return [entry.strip() for entry in text.replace("\n", " ").split(",") if entry.strip()]
