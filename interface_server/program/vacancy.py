"""Lets the supervisor answer while no process serves. A client that nobody accepts would wait in vain."""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import threading

from interface_server.transport.http_response import short_response

CLIENT_SECONDS = 0.5
"""Seconds that one client may take to send its request and read the answer."""


class Vacancy:
    """Answers with 503 on a listening socket while no process serves on it.

    Arguments:
        sock: the socket on which the processes listen.
        tls: the TLS context, if the server has one.
    """

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._sock = sock
        sock.setblocking(False)  # a process may accept the client first
        self._tls = tls
        self._wake_receiver, self._wake_sender = os.pipe()
        self._has_served = False
        self._thread: threading.Thread | None = None

    def ready(self, processes: int) -> None:
        """Note how many processes serve now."""
        if processes:
            self._has_served = True
            self._stop()
        elif self._has_served and self._thread is None:  # before the first one, the socket does not listen
            self._thread = threading.Thread(target=self._answer, name="vacancy", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop listening for good. When the processes have stopped, too, the port refuses clients."""
        self._stop()
        self._sock.close()
        os.close(self._wake_receiver)
        os.close(self._wake_sender)

    def _stop(self) -> None:
        if self._thread is not None:
            os.write(self._wake_sender, b"x")
            self._thread.join()
            self._thread = None

    def _answer(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._wake_receiver, selectors.EVENT_READ)
            while all(key.fd != self._wake_receiver for key, _ in selector.select()):
                try:
                    client, _ = self._sock.accept()
                except OSError:
                    continue  # it has left, or a process was faster
                try:
                    self._answer_one(client)
                except OSError:
                    pass  # it has left, is too slow, or does not speak TLS
                finally:
                    client.close()
            os.read(self._wake_receiver, 1)

    def _answer_one(self, client: socket.socket) -> None:
        client.settimeout(CLIENT_SECONDS)
        with client if self._tls is None else self._tls.wrap_socket(client, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(short_response(503, "No process of the server is ready at the moment."))
