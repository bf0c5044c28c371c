"""One folder a vendor, loaded by facet."""
