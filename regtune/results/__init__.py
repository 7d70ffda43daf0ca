"""A log as frames: what tables, figures and notebooks start from.

Imports core, pruners, storage and statistics; neither torch nor Ray.
"""
