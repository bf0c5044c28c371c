"""The demo: everything started, connected, synced, searched, changed and searched again, with the seconds it took."""
