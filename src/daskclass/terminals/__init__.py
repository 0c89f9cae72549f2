"""What happens if I type this in a terminal? Runs commands beside the notebook, each in its own folder."""

from daskclass.terminals.terminal import Terminal, Terminals

__all__ = ["Terminal", "Terminals"]
