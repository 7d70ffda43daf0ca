"""Numbers become words: tables, figures, the report's page, and the formats of `regtune table`.

Imports core, pruners, storage, statistics, results and analysis; neither torch nor Ray.
"""
