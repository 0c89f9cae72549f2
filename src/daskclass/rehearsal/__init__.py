"""Does the whole class work here, today, at this size? A page for people, JSON for programs."""

from daskclass.rehearsal.rehearsing import Rehearsal, rehearse

__all__ = ["Rehearsal", "rehearse"]
