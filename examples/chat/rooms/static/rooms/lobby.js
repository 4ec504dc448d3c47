// Keeps the list of rooms, with the number of people in each, up to date.

import { openSocket } from "./socket.js";

const { socket, rooms: base } = document.querySelector("main").dataset;
const list = document.getElementById("rooms");
const link = document.getElementById("link").content.firstElementChild;
const links = new Map([...list.children].map((item) => [item.dataset.room, item]));

openSocket({
  path: () => socket,
  onFrame: ({ at, rooms }) => rooms.forEach((room) => show(room, at)),
});

function show({ name, people }, at) {
  const item = links.get(name) ?? add(name);
  if (at < item.dataset.at) return; // an older state, which a worker has sent late
  item.dataset.at = at;
  const count = item.querySelector(".count");
  count.dataset.people = people;
  count.textContent = people === 1 ? "1 person" : `${people} people`;
}

function add(name) {
  const item = link.cloneNode(true);
  item.dataset.room = name;
  item.querySelector("a").href = `${base}${name}/`;
  item.querySelector(".name").textContent = name;
  links.set(name, item);
  list.append(item);
  return item;
}
