// A WebSocket with JSON frames that reconnects after every loss, with growing pauses.

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 15_000;

const NOT_ANY_MORE = 4403; // this site's close code for a change of the user or of the user's rights

const WORDS = { connecting: "Connecting…", connected: "Connected", reconnecting: "Reconnecting…" };

// path: a function that returns the path to connect to. It is called for each attempt.
// onFrame: is called with each frame that arrives.
// heartbeat: a function that returns the frame to send every `seconds`. The server answers it with any frame.
// onConnected: is called each time the socket has opened.
// onRefused: is called when an attempt has failed before the socket was open.
export function openSocket({ path, onFrame, onConnected = () => {}, onRefused = () => {}, heartbeat = null, seconds = 30 }) {
  let socket;
  let attempts = 0;
  let retry;
  let silent = false; // nothing has come since the last heartbeat

  function connect() {
    clearTimeout(retry);
    let opened = false;
    socket = new WebSocket(new URL(path(), location.href.replace(/^http/, "ws")));
    socket.onopen = () => {
      silent = false;
      opened = true;
      show("connected");
      onConnected();
    };
    socket.onmessage = (event) => {
      silent = false;
      attempts = 0; // not in onopen, because a server that accepts and drops at once is not back yet
      onFrame(JSON.parse(event.data));
    };
    socket.onclose = ({ code }) => {
      if (code === NOT_ANY_MORE) {
        location.replace(location.pathname);
        return;
      }
      if (!opened) onRefused();
      show("reconnecting");
      const wait = Math.min(FIRST_WAIT * 2 ** attempts, LONGEST_WAIT);
      attempts += 1;
      retry = setTimeout(connect, wait * (0.5 + Math.random() / 2)); // at random, so that not all come back at once
    };
  }

  function send(frame) {
    const open = socket.readyState === WebSocket.OPEN;
    if (open) socket.send(JSON.stringify(frame));
    return open;
  }

  function beat() {
    if (silent) socket.close(); // the last heartbeat got no answer, so the connection is dead
    silent = send(heartbeat());
  }

  if (heartbeat) setInterval(beat, seconds * 1000);
  addEventListener("online", () => socket.readyState === WebSocket.CLOSED && connect());
  connect();
  return { send };
}

function show(state) {
  const place = document.getElementById("state");
  if (place.dataset.state === state) return; // otherwise screen readers would announce every failed attempt
  place.dataset.state = state;
  place.textContent = WORDS[state];
}
