"""DHCPv4 for machines that boot from the network (RFC 2131, 2132, 3396, 4578)."""
