"""The processes of this project: those of a supervisor, their signals, and what a layer knows of each."""
