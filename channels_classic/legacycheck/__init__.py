"""What in a project of Channels 1 has to change before it runs here: it reads the project and runs none of it.

``manage.py legacycheck``, or ``python -m channels_classic.legacycheck`` where the project does not start yet.
"""
