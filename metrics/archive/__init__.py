"""The archive: rows of requests and errors that upkeep deletes, as compressed files.

`chunks` is the format of a line, `files` has the names, `writing` writes a file for upkeep
(`metrics.store.upkeep.archiving`), and `reading` reads rows back, each once.
"""
