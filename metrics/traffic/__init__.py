"""Events that this project sends itself: example data and replayed traces."""
