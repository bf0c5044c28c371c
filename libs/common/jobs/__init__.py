"""Run later, durably, by lease."""
