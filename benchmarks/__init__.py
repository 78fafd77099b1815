"""Benchmarks that compare ways of doing the same work; `make bench` runs them."""
