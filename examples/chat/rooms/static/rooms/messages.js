// The look of messages: text with links, and headers for groups of messages.

const TOGETHER = 5 * 60_000; // milliseconds; messages of one author within this time share a header

const LINK = /https?:\/\/[^\s<>"]+/g;
const AFTER_A_LINK = /[.,:;!?'*)\]]+$/; // these mostly belong to the sentence, and not to the address

let today = new Date().toDateString();

export function fill(element, { id, author, guest, text, created }) {
  const moment = new Date(created);
  const time = element.querySelector("time");
  element.dataset.id = id;
  element.dataset.created = moment.getTime();
  element.querySelector(".author").textContent = author;
  element.querySelector(".guest").hidden = !guest;
  element.querySelector(".text").replaceChildren(...withLinks(text));
  element.title = time.title = moment.toLocaleString();
  time.dateTime = created;
  time.textContent = moment.toLocaleTimeString([], { timeStyle: "short" });
}

// The text becomes text nodes, and never HTML, because somebody else wrote it.
function* withLinks(text) {
  let end = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const address = withoutPunctuation(found);
    if (!URL.canParse(address)) continue;
    yield text.slice(end, index);
    const link = document.createElement("a");
    link.href = link.textContent = address;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    yield link;
    end = index + address.length;
  }
  yield text.slice(end);
}

function withoutPunctuation(found) {
  const rest = found.match(AFTER_A_LINK)?.[0] ?? "";
  // A parenthesis that is opened inside the address belongs to it.
  const own = found.includes("(") && rest.startsWith(")") ? 1 : 0;
  return found.slice(0, found.length - rest.length + own);
}

// Arrange a new message: its header, the line above a new day, and those of the next message.
export function arrange(element, log) {
  if (today !== new Date().toDateString()) {
    today = new Date().toDateString();
    arrangeAll(log); // at midnight, today becomes yesterday
    return;
  }
  arrangeOne(element);
  const next = neighbour(element, "nextElementSibling");
  if (next) arrangeOne(next);
}

export function arrangeAll(log) {
  for (const day of log.querySelectorAll(".day")) day.remove();
  for (const element of log.querySelectorAll(".message")) arrangeOne(element);
}

function arrangeOne(element) {
  const before = neighbour(element, "previousElementSibling");
  const newDay = !before || dayOf(before) !== dayOf(element);
  const above = element.previousElementSibling;
  const line = above?.classList.contains("day") ? above : null;
  if (newDay && !line) element.before(dayLine(element));
  if (!newDay) line?.remove();
  element.classList.toggle("follows", !newDay && speaker(before) === speaker(element)
    && element.dataset.created - before.dataset.created < TOGETHER);
}

function neighbour(element, direction) {
  let other = element[direction];
  while (other && !other.dataset.id) other = other[direction];
  return other;
}

const momentOf = (element) => new Date(Number(element.dataset.created));
const dayOf = (element) => momentOf(element).toDateString();
const speaker = (element) =>
  JSON.stringify([element.querySelector(".author").textContent, element.querySelector(".guest").hidden]);

function dayLine(element) {
  const line = document.createElement("p");
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  const words = { [yesterday.toDateString()]: "Yesterday", [today]: "Today" };
  line.className = "day";
  line.textContent = words[dayOf(element)] ?? momentOf(element).toLocaleDateString([], { dateStyle: "full" });
  return line;
}
