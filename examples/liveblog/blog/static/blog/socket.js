// The socket of the page, with streams in it. It connects again by itself, and the page says whether it is open.

import { WebSocketBridge } from "../channels_classic/js/websocketbridge.mjs";

const WORDS = { connected: "Connected", reconnecting: "Reconnecting…" };

// streams: a function for each stream by its name, which is given each payload.
export function openSocket(path, streams) {
  const bridge = new WebSocketBridge();
  for (const [name, callback] of Object.entries(streams)) bridge.demultiplex(name, callback);
  bridge.connect(path);
  const { socket } = bridge;
  socket.addEventListener("open", () => show("connected"));
  socket.addEventListener("close", () => show("reconnecting"));

  // Whether it was sent. The bridge would keep it for later, but a page may be closed before that.
  return (stream, payload) => socket.readyState === WebSocket.OPEN && bridge.stream(stream).send(payload);
}

function show(state) {
  const place = document.getElementById("state");
  if (place.dataset.state === state) return; // or every failed attempt would be read out
  place.dataset.state = state;
  place.textContent = WORDS[state];
}
