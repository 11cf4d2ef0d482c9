"""What is wrong with bytes. Receivers drop such packets and count them; nobody outside `bmc` sees these."""


class MalformedPacket(Exception):
    """These bytes are not a packet of this protocol."""


class BadIntegrity(MalformedPacket):
    """The integrity check value does not belong to this packet."""
