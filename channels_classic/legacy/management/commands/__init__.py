"""The commands with what projects of Channels 1 override and replace in them."""
