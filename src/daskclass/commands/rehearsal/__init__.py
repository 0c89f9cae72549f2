"""Does the whole class work here, today, at this size? A page for people, JSON for programs."""

from daskclass.commands.rehearsal.all_labs import rehearse
from daskclass.commands.rehearsal.outcome import Rehearsal

__all__ = ["Rehearsal", "rehearse"]
