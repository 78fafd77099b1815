"""The commit of a batch of events: raw rows, rollups and their bookkeeping."""
