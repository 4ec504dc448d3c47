"""Who may connect: see ``channels_classic.security.websockets``."""
