// A WebSocket that carries JSON frames and comes back after every loss, ever more patiently.

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 15_000;

const NOT_ANY_MORE = 4403; // a close code of ours: who you are, or where you may be, has changed

const WORDS = { connecting: "Connecting…", connected: "Connected", reconnecting: "Reconnecting…" };

// path: a function that returns the path to connect to, asked anew for each attempt.
// onFrame: is given each frame that arrives.
// heartbeat: a function that returns the frame to send every `seconds`; the server answers it with any frame.
// onConnected: is called when the socket is open, each time.
// onRefused: is called when an attempt failed before the socket was open.
export function openSocket({ path, onFrame, onConnected = () => {}, onRefused = () => {}, heartbeat = null, seconds = 30 }) {
  let socket;
  let attempts = 0;
  let retry;
  let silent = false; // since the last heartbeat

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
      attempts = 0; // here, not in onopen: a server that accepts and drops at once is not back yet
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
      retry = setTimeout(connect, wait * (0.5 + Math.random() / 2)); // or all would come back in one moment
    };
  }

  function send(frame) {
    const open = socket.readyState === WebSocket.OPEN;
    if (open) socket.send(JSON.stringify(frame));
    return open;
  }

  function beat() {
    if (silent) socket.close(); // nobody answered the last one: the line is dead, only nobody said so
    silent = send(heartbeat());
  }

  if (heartbeat) setInterval(beat, seconds * 1000);
  addEventListener("online", () => socket.readyState === WebSocket.CLOSED && connect());
  connect();
  return { send };
}

function show(state) {
  const place = document.getElementById("state");
  if (place.dataset.state === state) return; // or every failed attempt would be read out
  place.dataset.state = state;
  place.textContent = WORDS[state];
}
