"""Finds what has to change in a project of Channels 1. It reads the project and runs none of it.

``manage.py legacycheck``, or ``python -m channels_classic.legacycheck`` where the project does not start yet.
"""
