// The socket of the page, with its streams. It reconnects by itself, and the page shows whether it is open.

import { WebSocketBridge } from "../channels_classic/js/websocketbridge.mjs";

const WORDS = { connected: "Connected", reconnecting: "Reconnecting…" };

// streams: a function for each stream, by name. It is called with each payload.
export function openSocket(path, streams) {
  const bridge = new WebSocketBridge();
  for (const [name, callback] of Object.entries(streams)) bridge.demultiplex(name, callback);
  bridge.connect(path);
  const { socket } = bridge;
  socket.addEventListener("open", () => show("connected"));
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
