"""A server that is hardly there: beside it shows what clients cost by themselves. `python -m benchmarks.service.bare 3`
serves on the listening socket that it inherits as file 3.
"""

from __future__ import annotations

import select
import socket
import sys

_ANSWER = b'HTTP/1.1 304 NOT MODIFIED\r\nETag: W/"1"\r\nConnection: keep-alive\r\n\r\n'
_PIECE = 2**16


def main() -> None:
    """Answers whatever comes as if nothing had changed, until it is ended."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    clients: dict[int, socket.socket] = {}
    with select.epoll() as poll:
        poll.register(listener, select.EPOLLIN)
        while True:
            for file, _ in poll.poll():
                if file == listener.fileno():
                    client = listener.accept()[0]
                    clients[client.fileno()] = client
                    poll.register(client, select.EPOLLIN)
                elif clients[file].recv(_PIECE):
                    clients[file].sendall(_ANSWER)
                else:
                    clients.pop(file).close()


if __name__ == "__main__":
    main()
