"""A log as frames: what tables, figures and notebooks start from.

Imports core, storage and statistics; neither torch nor Ray.
"""
