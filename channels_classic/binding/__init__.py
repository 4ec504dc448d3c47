"""Data binding: clients see the changes of models, and can make changes (specification, section 10)."""

from channels_classic.binding.base import Binding
from channels_classic.binding.changes import announce_changes

__all__ = ["Binding", "announce_changes"]
