"""``rundelay``."""
