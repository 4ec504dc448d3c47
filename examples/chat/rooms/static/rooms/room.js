// One room: its messages, its people, and the form to write in.

import { arrange, arrangeAll, fill } from "./messages.js";
import { openSocket } from "./socket.js";

const { socket: path, heartbeat, maxTextLength, user } = document.querySelector("main").dataset;
const [log, people, count, newest, name, objection, text, length, notice] = [
  "log", "people", "count", "newest", "name", "objection", "text", "length", "notice",
].map((id) => document.getElementById(id));
const template = document.getElementById("message").content.firstElementChild;
const tag = template.querySelector(".guest").cloneNode(true);
tag.hidden = false;

const shown = new Map(); // from the id of a message to its element
let me;
let joinedAs;
let peopleAt = 0;
let following = true; // the end of the log is in view, and should stay in view
let lastSent = "";

// The visitor's name. The server knows the names of users. A guest chooses a name, which is stored here.

const STORED_NAME = "chat-name";

function storedName() {
  try {
    return localStorage.getItem(STORED_NAME);
  } catch {
    return null; // storage may be forbidden: then the name lasts as long as the page
  }
}

function rename(wanted) {
  me = wanted.trim().replace(/\s+/g, " ") || `guest-${1000 + Math.floor(Math.random() * 9000)}`;
  name.value = me;
  object("");
  try {
    localStorage.setItem(STORED_NAME, me);
  } catch {
    // see storedName
  }
  for (const message of shown.values()) mark(message);
}

function object(words) {
  objection.textContent = words;
  name.setAttribute("aria-invalid", words !== "");
}

const isMe = (who, guest) => who === me && guest === !user;

if (user) me = user;
else rename(storedName() ?? "");

// The socket

const NOT_CONNECTED = "Not connected. Your message stays here: send it when the connection is back.";

const here = () => ({ type: "here", name: me });

const socket = openSocket({
  path: () => `${path}?name=${encodeURIComponent((joinedAs = me))}`,
  heartbeat: here,
  seconds: Number(heartbeat),
  onFrame: (frame) => handlers[frame.type]?.(frame),
  onConnected: () => notice.textContent === NOT_CONNECTED && say(""),
  onRefused: reloadIfClosed,
});

// The server refuses the socket: reload if the present visitor may not see this page any more.
async function reloadIfClosed() {
  const answer = await fetch(location.pathname, { method: "HEAD" }).catch(() => null);
  if (answer?.status === 404) location.replace(location.pathname);
}

const handlers = {
  history({ messages }) {
    // If the first message is not known yet, there may be a gap before it, so older messages are removed.
    if (messages.length && !shown.has(messages[0].id)) forget((id) => id < messages[0].id);
    messages.forEach(add);
    log.setAttribute("aria-busy", "false");
    if (joinedAs !== me) socket.send(here()); // the name has changed while the socket was connecting
  },

  message(message) {
    add(message);
    if (isMe(message.author, message.guest)) lastSent = "";
  },

  presence({ at, people: all }) {
    if (at < peopleAt) return; // an older state, which a worker has sent late
    peopleAt = at;
    count.textContent = all.length;
    people.replaceChildren(...all.map(person));
  },

  error(frame) {
    if (!text.value) write(lastSent);
    if (frame.about === "name") object(frame.text);
    else say(frame.text);
  },
};

// Messages, each once, ordered by id

function add(message) {
  if (shown.has(message.id)) return;
  const element = template.cloneNode(true);
  fill(element, message);
  face(element.querySelector(".face"), message.author);
  mark(element);

  let before = log.lastElementChild;
  // An element without an id is the line above a day, which belongs to the message below it.
  while (before && !(Number(before.dataset.id) < message.id)) before = before.previousElementSibling;
  if (before) before.after(element);
  else log.prepend(element);
  shown.set(message.id, element);
  arrange(element, log);

  if (following || isMe(message.author, message.guest)) showNewest();
  else newest.hidden = false;
}

function forget(gone) {
  for (const [id, element] of shown) {
    if (!gone(id)) continue;
    element.remove();
    shown.delete(id);
  }
  arrangeAll(log);
}

function mark(element) {
  const guest = !element.querySelector(".guest").hidden;
  element.classList.toggle("mine", isMe(element.querySelector(".author").textContent, guest));
}

function showNewest() {
  log.scrollTop = log.scrollHeight;
  newest.hidden = true;
}

log.addEventListener("scroll", () => {
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  if (following) newest.hidden = true;
});
new ResizeObserver(() => following && showNewest()).observe(log);
newest.addEventListener("click", showNewest);

// People

function person({ name: who, guest }) {
  const item = document.createElement("li");
  const dot = document.createElement("span");
  const label = document.createElement("span");
  const called = document.createElement("bdi");
  dot.setAttribute("aria-hidden", "true");
  face(dot, who);
  called.textContent = who;
  label.append(called, isMe(who, guest) ? " (you)" : "");
  item.append(dot, label);
  if (guest) item.append(tag.cloneNode(true));
  return item;
}

function face(element, who) {
  const letters = [...who];
  element.className = "face";
  element.textContent = letters[0].toUpperCase();
  element.style.setProperty("--hue", letters.reduce((hue, letter) => (hue * 31 + letter.codePointAt()) % 360, 7));
}

// Writing

function say(words) {
  notice.textContent = words;
}

function write(words) {
  text.value = words;
  measure();
}

function measure() {
  const characters = [...text.value.trim()].length;
  const over = characters - maxTextLength;
  const limit = Number(maxTextLength).toLocaleString();
  length.hidden = characters < maxTextLength * 0.9;
  length.textContent = `${characters.toLocaleString()} of ${limit}`;
  text.setAttribute("aria-invalid", over > 0);
  say(over > 0 ? `Too long by ${over.toLocaleString()}: a message has at most ${limit} characters.` : "");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px`;
  return { characters, over };
}

text.addEventListener("input", measure);
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  text.form.requestSubmit();
});
text.form.addEventListener("submit", (event) => {
  event.preventDefault();
  text.focus();
  const { characters, over } = measure();
  if (over > 0) return;
  if (characters === 0) {
    say("Write something first.");
  } else if (socket.send({ type: "message", name: me, text: text.value })) {
    lastSent = text.value;
    write("");
  } else {
    say(NOT_CONNECTED);
  }
});

name?.addEventListener("change", () => {
  rename(name.value);
  socket.send(here());
});
name?.form.addEventListener("submit", (event) => {
  event.preventDefault();
  text.focus(); // this fires "change" on the name field if the name has changed
});
