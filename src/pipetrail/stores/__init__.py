"""Where events are kept: the journal (SQLite) beside the recorder."""
