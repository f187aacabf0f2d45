"""VL-JEPA: watch a video, predict the embedding of the text that describes it, decode only when the meaning changes.

    import vljepa
    model = vljepa.load("everyday")
    trajectory = model.embed("film.mp4").collect()

The names below are the library's public face; the command line is `python -m vljepa --help`.
"""

import importlib
from typing import TYPE_CHECKING

from vljepa.errors import CheckpointError, ExportError, VideoError, VLJEPAError

if TYPE_CHECKING:
    from vljepa.analysis import Analysis, CutSettings, analyze
    from vljepa.checkpoint import CheckpointInfo, list_checkpoints, load
    from vljepa.live import LiveCaption, LiveModel, LiveSession, LiveUpdate
    from vljepa.model import VLJEPA
    from vljepa.online import OnlineSegmenter, OnlineSettings
    from vljepa.readout import Caption
    from vljepa.segmentation import Segment, WardTree, ward_tree
    from vljepa.sources import LiveSource
    from vljepa.stream import EmbeddingStream, Step, Trajectory
    from vljepa.video import VideoInfo, open_video

_HOME = {
    "Analysis": "analysis", "CutSettings": "analysis", "analyze": "analysis",
    "CheckpointInfo": "checkpoint", "list_checkpoints": "checkpoint", "load": "checkpoint",
    "VLJEPA": "model", "Caption": "readout",
    "Segment": "segmentation", "WardTree": "segmentation", "ward_tree": "segmentation",
    "EmbeddingStream": "stream", "Step": "stream", "Trajectory": "stream",
    "VideoInfo": "video", "open_video": "video",
    "LiveCaption": "live", "LiveModel": "live", "LiveSession": "live", "LiveUpdate": "live", "LiveSource": "sources",
    "OnlineSegmenter": "online", "OnlineSettings": "online",
}
__all__ = [
    "VLJEPA", "Analysis", "Caption", "CheckpointError", "CheckpointInfo", "CutSettings", "EmbeddingStream",
    "ExportError", "LiveCaption", "LiveModel", "LiveSession", "LiveSource", "LiveUpdate", "OnlineSegmenter",
    "OnlineSettings", "Segment", "Step", "Trajectory", "VLJEPAError", "VideoError", "VideoInfo", "WardTree", "analyze",
    "list_checkpoints", "load", "open_video", "ward_tree",
]


def __getattr__(name: str) -> object:
    """Import on first use: `--help` and plain segmentation should not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'vljepa' has no attribute {name!r}")
    return getattr(importlib.import_module(f"vljepa.{_HOME[name]}"), name)
