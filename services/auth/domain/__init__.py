"""Pure rules of auth: what an integration is, where it stands, and which input is refused."""
