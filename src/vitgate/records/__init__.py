"""Records of runs. `to_frame` is the way in for notebooks; nothing heavy is imported before it is called."""

from vitgate.records.frames import to_frame

__all__ = ["to_frame"]
