"""A BMC in memory, for demonstrations, load tests and the tests of everything above."""
