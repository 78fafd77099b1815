"""Label sets and error groups, stored once each and referred to by id."""
