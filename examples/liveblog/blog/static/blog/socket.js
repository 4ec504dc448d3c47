// The socket of the page, with its streams. It reconnects by itself, and the page shows whether it is open.

import { WebSocketBridge } from "../channels_classic/js/websocketbridge.mjs";

const WORDS = { connected: "Connected", reconnecting: "Reconnecting…" };

// streams: a function for each stream, by name. It is called with each payload.
// state: the stream that brings the present state, once for each connection. Changes that come first wait for it,
// because they may be newer.
export function openSocket(path, state, streams) {
  const bridge = new WebSocketBridge();
  let waiting = []; // null when the state has come
  for (const [name, callback] of Object.entries(streams)) {
    bridge.demultiplex(name, (payload) => {
      if (waiting && name !== state) {
        waiting.push(() => callback(payload));
        return;
      }
      callback(payload);
      waiting?.forEach((late) => late());
      waiting = null;
    });
  }
  bridge.connect(path);
  const { socket } = bridge;
  socket.addEventListener("open", () => {
    waiting = [];
    show("connected");
  });
  socket.addEventListener("close", () => show("reconnecting"));

  // Returns whether it was sent. The bridge would keep it for later, but the page may be closed before that.
  return (stream, payload) => socket.readyState === WebSocket.OPEN && bridge.stream(stream).send(payload);
}

function show(state) {
  const place = document.getElementById("state");
  if (place.dataset.state === state) return; // otherwise screen readers would announce every failed attempt
  place.dataset.state = state;
  place.textContent = WORDS[state];
}
