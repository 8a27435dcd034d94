"""What `pipetrail.emit` costs the code that calls it, while the API server hangs: COUNT calls, each timed.

The server is a socket that nobody reads from, in this process.
"""

import socket
import statistics
import sys
import time

import pipetrail
from benchmarks.clients.outcome import report
from pipetrail.emitting import sdk
from pipetrail.emitting.place import Server
from pipetrail.emitting.posting import Poster


def emit(count: int) -> float:
    """The median of `count` calls, in microseconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        sdk._Process._connect = lambda _: Poster(Server(url=url))  # type: ignore[method-assign,assignment]
        sdk._EXIT_SECONDS = 0.0
        pipetrail.configure(about="team/pod/trainer-0", run="nightly")
        pipetrail.emit("First")
        connection, _ = server.accept()  # from here on the thread of the sender waits for an answer
        with connection:
            took = []
            for number in range(count):
                began = time.perf_counter()
                pipetrail.emit("StepProgress", f"step {number} of {count}, loss 0.1234")
                took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6


if __name__ == "__main__":
    number = int(sys.argv[1])
    report(number, emit_median_us=emit(number))
