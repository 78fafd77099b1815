"""The write path below validation: validated events become rows and rollups, in one transaction.

`transaction.Store.commit` is the only way in. What it promises: an event is stored and counted once, however often it
comes; the raw rows and the rollups of every resolution agree at every instant; and what cannot be stored raises
StoreUnavailable with nothing of the batch left behind.
"""
