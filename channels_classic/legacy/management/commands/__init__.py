"""The commands in the form that projects of Channels 1 extend."""
