"""What is recorded as the documents that leave pipetrail: the lines of ``-o json``, and what sinks send."""
