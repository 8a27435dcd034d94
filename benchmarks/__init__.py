"""The benchmarks: one stream of Events, a stand-in API server that serves it, and the programs that read it."""
