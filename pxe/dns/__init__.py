"""An authoritative name server for the names of machines; everything else is refused."""
