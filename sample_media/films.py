"""The scripts of the sample films: which photograph, which camera move, for how long, and what is to be seen."""

from dataclasses import dataclass

from sample_media.camera import View


@dataclass(frozen=True)
class Photo:
    """A photograph inside an installed package. `source` and `licence` as the package states them."""

    package: str
    file: str
    source: str
    licence: str


@dataclass(frozen=True)
class Scene:
    """One photograph seen by a camera that moves from `start` to `end`.

    A scene begins with a hard cut, or with a dissolve of `dissolve_s` seconds centred on its first moment.
    """

    photo: str
    caption: str
    seconds: float
    start: View
    end: View
    dissolve_s: float = 0.0


@dataclass(frozen=True)
class Script:
    """A film: `name` is its file's, `title` the one to show."""

    name: str
    title: str
    scenes: tuple[Scene, ...]


_GRADIO = "no licence stated for the photo itself; it comes with gradio (Apache-2.0)"
PHOTOS = {
    "astronaut": Photo("skimage", "data/astronaut.png", "Eileen Collins, NASA Great Images, https://flic.kr/p/r9qvLn",
                       "public domain"),
    "cameraman": Photo("skimage", "data/camera.png", "Lav Varshney, scikit-image", "CC0"),
    "cat": Photo("skimage", "data/chelsea.png", "Stefan van der Walt, scikit-image", "CC0"),
    "cheetah": Photo("gradio", "media_assets/images/cheetah.jpg", "gradio", _GRADIO),
    "cheetah_face": Photo("gradio", "media_assets/images/cheetah1.jpg", "gradio", _GRADIO),
    "coffee": Photo("skimage", "data/coffee.png", "Rachel Michetti, scikit-image", "CC0"),
    "galaxies": Photo("skimage", "data/hubble_deep_field.jpg", "NASA, Hubble eXtreme Deep Field, "
                      "http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/", "public domain"),
    "lion": Photo("gradio", "media_assets/images/lion.jpg", "gradio", _GRADIO),
    "motorcycle": Photo("skimage", "data/motorcycle_left.png", "D. Scharstein et al., Middlebury stereo, GCPR 2014",
                        "no licence stated for the photo itself; it comes with scikit-image (BSD-3-Clause)"),
    "rocket": Photo("skimage", "data/rocket.jpg", "SpaceX, https://www.flickr.com/photos/spacexphotos/16511594820/",
                    "public domain"),
    "tower": Photo("gradio", "media_assets/images/tower.jpg", "gradio", _GRADIO),
}

_SAMPLE = Script("sample", "Eleven scenes, hard cuts", (
    Scene("astronaut", "A smiling astronaut in an orange space suit stands in front of a flag.", 3.6,
          View(0.5, 0.30, 1.0), View(0.45, 0.24, 0.7)),
    Scene("rocket", "A white rocket stands on its launch pad at dusk.", 3.2,
          View(0.5, 0.45, 1.0), View(0.52, 0.66, 0.6)),
    Scene("cat", "An orange cat with green eyes looks at the camera.", 3.8,
          View(0.55, 0.42, 0.62), View(0.5, 0.5, 1.0)),
    Scene("motorcycle", "A red motorcycle is parked in a garage.", 3.4,
          View(0.38, 0.58, 0.75), View(0.62, 0.55, 0.75)),
    Scene("coffee", "A cup of coffee stands on a red saucer on a wooden table.", 3.0,
          View(0.5, 0.45, 1.0), View(0.48, 0.4, 0.62)),
    Scene("cheetah", "A cheetah runs at full speed.", 2.8,
          View(0.42, 0.5, 0.8), View(0.6, 0.45, 0.62)),
    Scene("tower", "The Eiffel Tower shines with lights in the evening.", 4.2,
          View(0.5, 0.8, 1.0), View(0.5, 0.2, 1.0)),
    Scene("lion", "A lion with a dark mane rests on a rock.", 3.4,
          View(0.5, 0.45, 1.0), View(0.48, 0.33, 0.8)),
    Scene("cameraman", "A black and white photo of a man with a camera on a tripod.", 3.2,
          View(0.5, 0.45, 1.0), View(0.48, 0.33, 0.75)),
    Scene("galaxies", "Many coloured galaxies shine in black space.", 3.0,
          View(0.35, 0.4, 0.5), View(0.6, 0.6, 0.62)),
    Scene("cheetah_face", "The face of a cheetah is seen close up.", 3.4,
          View(0.5, 0.55, 1.0), View(0.5, 0.4, 0.75)),
))

_SLOW = Script("slow", "Eight scenes, slow moves and dissolves", (
    Scene("galaxies", "Galaxies shine like coloured dots in black space.", 7.2,
          View(0.5, 0.5, 0.95), View(0.56, 0.6, 0.4)),
    Scene("rocket", "A rocket stands between tall towers under a dark blue sky.", 8.0,
          View(0.5, 0.6, 0.65), View(0.5, 0.48, 1.0), dissolve_s=1.2),
    Scene("astronaut", "A woman in an orange space suit sits beside her white helmet.", 8.4,
          View(0.5, 0.56, 1.0), View(0.44, 0.28, 0.85), dissolve_s=1.6),
    Scene("lion", "A male lion lies on a rock in the sun.", 6.8,
          View(0.5, 0.33, 0.85), View(0.5, 0.5, 1.0), dissolve_s=1.2),
    Scene("cat", "The face of an orange cat is seen from close by.", 7.6,
          View(0.5, 0.5, 1.0), View(0.57, 0.45, 0.7), dissolve_s=1.0),
    Scene("coffee", "A small cup of coffee with a spoon is on a wooden table.", 7.4,
          View(0.6, 0.6, 0.6), View(0.5, 0.5, 1.0), dissolve_s=1.4),
    Scene("motorcycle", "A red motorcycle stands in front of shelves full of boxes.", 8.2,
          View(0.5, 0.5, 1.0), View(0.56, 0.56, 0.75), dissolve_s=1.2),
    Scene("tower", "A tall iron tower is lit up against a blue evening sky.", 7.2,
          View(0.5, 0.25, 0.9), View(0.5, 0.75, 1.0), dissolve_s=1.6),
))

_SHORT = Script("short", "Three scenes in ten seconds", (
    Scene("motorcycle", "A red motorcycle is parked in a garage.", 3.6,
          View(0.5, 0.5, 1.0), View(0.5, 0.55, 0.8)),
    Scene("coffee", "A cup of coffee stands on a wooden table.", 3.0,
          View(0.46, 0.4, 0.7), View(0.5, 0.5, 1.0)),
    Scene("cat", "An orange cat looks to the side.", 3.4,
          View(0.5, 0.5, 1.0), View(0.52, 0.45, 0.75)),
))

SCRIPTS = (_SAMPLE, _SLOW, _SHORT)
