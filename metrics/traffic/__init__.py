"""Events that this project sends itself: demo data and replayed traces."""
