"""The kit that runs every provider's local stand-in on one port, with faults, a request log and signed deliveries."""
