"""Logs, traces and metrics: what a run tells about itself, and never a secret."""
