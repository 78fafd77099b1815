"""Import of files: rows are read from a file, mapped to events, and recorded as if they were posted.

`files` reads rows of any format in constant memory, a source (`export_files`, `phoenix`, …) maps them to events,
`importer` validates and commits them in batches, and `report` has what was stored and what was not.
"""
