"""The embedded stack: everything `make up` starts on one machine, without a container engine."""
