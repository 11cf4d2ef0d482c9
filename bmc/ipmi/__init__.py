"""The IPMI 2.0 driver: pyghmi's sessions and decoders, driven from one thread (Decision 20)."""
