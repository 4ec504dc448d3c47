"""A show of faults: in a small cluster under load, it stops, kills or removes one part after another."""
