"""The subjects: each is a whole program, started as `python -m benchmarks.clients.NAME URL COUNT`."""
