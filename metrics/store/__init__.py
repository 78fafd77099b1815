"""The tables of measurements: writes validated events to rows and rollups, and deletes old rows.

`writing.transaction.Store.commit` is the only way to add events. An event is stored and counted once, however often it
is sent. Raw rows and rollups of all resolutions agree after each commit. A batch that cannot be stored raises
StoreUnavailable, and none of its events is stored.
"""
