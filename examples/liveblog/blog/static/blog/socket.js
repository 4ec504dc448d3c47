// A WebSocket with streams in it, which comes back after every loss, ever more patiently.

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 15_000;

const WORDS = { connecting: "Connecting…", connected: "Connected", reconnecting: "Reconnecting…" };

// streams: a function for each stream by its name, which is given each payload.
export function openSocket(path, streams) {
  let socket;
  let attempts = 0;
  let retry;

  function connect() {
    clearTimeout(retry);
    socket = new WebSocket(new URL(path, location.href.replace(/^http/, "ws")));
    socket.onopen = () => show("connected");
    socket.onmessage = (event) => {
      attempts = 0; // here, not in onopen: a server that accepts and drops at once is not back yet
      const { stream, payload } = JSON.parse(event.data);
      streams[stream]?.(payload);
    };
    socket.onclose = () => {
      show("reconnecting");
      const wait = Math.min(FIRST_WAIT * 2 ** attempts, LONGEST_WAIT);
      attempts += 1;
      retry = setTimeout(connect, wait * (0.5 + Math.random() / 2)); // or all would come back in one moment
    };
  }

  addEventListener("online", () => socket.readyState === WebSocket.CLOSED && connect());
  connect();

  // Whether it could be sent.
  return function send(stream, payload) {
    const open = socket.readyState === WebSocket.OPEN;
    if (open) socket.send(JSON.stringify({ stream, payload }));
    return open;
  };
}

function show(state) {
  const place = document.getElementById("state");
  if (place.dataset.state === state) return; // or every failed attempt would be read out
  place.dataset.state = state;
  place.textContent = WORDS[state];
}
