"""A show of faults: in a small cluster under load, one part after another is stopped, killed or taken away."""
