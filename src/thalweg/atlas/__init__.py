"""The atlas: what the retrainings of many other tasks tell of a network before it is trained again.

It was fitted to the tasks of `research/atlas`, and is a file of numbers beside this one. The
emulator `thalweg.emulators.Atlas` is made of it.
"""

from thalweg.atlas.learned import VERSION, Learned, learned

__all__ = ["VERSION", "Learned", "learned"]
