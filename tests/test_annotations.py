"""Annotations of a film, from every kind of file that people have, and what is said of the others."""

import pytest

from vljepa.annotations import Annotation, read_annotations

DOG, TWO = Annotation(0.5, 3.0, ("a dog runs",)), Annotation(3.0, 65.5, ("two men talk",))
SRT = "\ufeff1\n00:00:00,500 --> 00:00:03,000\na dog\nruns\n\n2\n00:00:03,000 --> 00:01:05,500\n<i>two men</i> talk\n"
VTT = ("WEBVTT\n\nNOTE x\n\nintro\n00:00.500 --> 00:03.000 align:start\na dog runs\n\n"
       "00:03.000 --> 01:05.500\ntwo men talk")


@pytest.mark.parametrize("text", [
    SRT, VTT, SRT.replace("\n", "\r\n"),
    '[{"start": 3, "end": 65.5, "text": "two men talk"}, {"start": 0.5, "end": 3, "text": "a dog  runs"}]',
    '{"segments": [{"start_s": 0.5, "end_s": 3, "caption": "a dog runs"},'
    ' {"start_s": 3, "end_s": 65.5, "caption": "two men talk"}]}',
    "start,end,text\n0.5,3,a dog runs\n3,65.5,two men talk\n\n",
    "Text;Start;End\na dog runs;0.5;3\ntwo men talk;3;65.5",
])
def test_every_format_says_the_same(text):
    assert read_annotations("a", text) == [DOG, TWO]


def test_several_people_may_say_what_one_span_shows():
    text = '[{"start": 0, "end": 2, "text": ["a dog", "a brown dog"]}, {"start": 0, "end": 2, "text": "an animal"}]'
    assert read_annotations("a.json", text) == [Annotation(0.0, 2.0, ("a dog", "a brown dog", "an animal"))]
    assert read_annotations("a.json", text)[0].middle_s == 1.0


def test_what_lies_beyond_the_film_is_left_out():
    text = "start,end,text\n1,9,long\n8,9,too late\n"
    assert read_annotations("a.csv", text, seconds=5.0) == [Annotation(1.0, 5.0, ("long",))]


@pytest.mark.parametrize(("text", "told"), [
    ("", "names no columns start"), ("start,end\n1,2\n", "names no columns"), ("[1, 2]", "give a JSON list of objects"),
    ("{", "give a JSON list of objects"), ('{"start": 1}', "give a JSON list"), ("start,end,text\n1,x,dog\n", "line 2"),
    ('[{"start": 1, "end": 2, "text": [3]}]', "give a JSON list"),
    ("start,end,text\n3,1,dog\n", "from 3 to 1 s: it must end after it begins"),
    ("start,end,text\n1,2, \n", "no annotation with a text within this film"),
    ("start,end,text\n99,100,dog\n", "no annotation with a text within this film"),
    ("start,end,text\n" + "".join(f"{k},{k + 1},x\n" for k in range(6000)), "6,000 annotations"),
])
def test_a_bad_file_is_one_sentence_with_its_name(text, told):
    with pytest.raises(ValueError, match=r"^mine") as error:
        read_annotations("mine.csv", text, seconds=10.0 if len(text) < 9999 else 9999.0)
    assert told in str(error.value)
