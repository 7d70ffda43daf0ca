"""Bytes on disk: the log, its lease, checkpoints, where repeats lie, what a changed sweep may change. Imports core."""
