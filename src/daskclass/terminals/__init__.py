"""What happens if I type this in a terminal? Commands that run beside the notebook, each in a folder of its own."""

from daskclass.terminals.terminal import Terminal, Terminals

__all__ = ["Terminal", "Terminals"]
