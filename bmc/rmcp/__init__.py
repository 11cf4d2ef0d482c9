"""RMCP+ on the wire, both ends: cipher suites, packets, IPMI messages, serial over LAN. No sockets and no clock here.

Specification: IPMI 2.0 revision 1.1 with errata 7, chapters 13 and 15; section numbers below are of that document.
"""
