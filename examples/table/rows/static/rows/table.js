// A table that several windows share: all of them see what one writes into a cell.

import { openSocket } from "./socket.js";

const [rows, add, thing, notice, packed, count] = [
  "rows", "add", "thing", "notice", "packed", "count",
].map((id) => document.getElementById(id));
const template = document.getElementById("row").content.firstElementChild;
const OFFLINE = "Not connected. What you write is not kept.";

const send = openSocket(document.querySelector("main").dataset.socket, "all", {
  all(all) {
    const there = new Set(all.map(({ pk }) => String(pk)));
    for (const row of [...rows.children]) if (!there.has(row.dataset.pk)) row.remove();
    for (const payload of all) put(payload, false);
    total();
  },
  rows(payload) {
    handlers[payload.action]?.(payload);
    total();
  },
});

const handlers = {
  create: put,
  update: put,
  delete: ({ pk }) => find(pk)?.remove(),
  error({ request, error, errors }) {
    const words = Object.values(errors).flat();
    say(words.length ? words.join(" ") : error);
    for (const name of Object.keys(errors)) {
      find(request.pk)?.querySelector(`[data-field=${name}]`)?.setAttribute("aria-invalid", true);
    }
  },
};

// Rows, in the order of their creation

const find = (pk) => rows.querySelector(`[data-pk="${pk}"]`);

function put({ pk, data }, isNews = true) {
  const row = find(pk) ?? insert(pk);
  for (const [name, value] of Object.entries(data)) {
    const input = row.querySelector(`[data-field=${name}]`);
    const isNew = value !== shown(input);
    input.dataset.saved = JSON.stringify(value);
    if (!isNew || (input === document.activeElement && input.dataset.dirty)) continue; // somebody is writing in this cell
    if (input.type === "checkbox") input.checked = value;
    else input.value = value;
    input.removeAttribute("aria-invalid");
    if (isNews && input !== document.activeElement) flash(input.closest("td"));
  }
}

function insert(pk) {
  const row = template.cloneNode(true);
  row.dataset.pk = pk;
  const next = [...rows.children].find((other) => Number(other.dataset.pk) > pk);
  rows.insertBefore(row, next ?? null);
  return row;
}

function shown(input) {
  if (input.type === "checkbox") return input.checked;
  if (input.dataset.field !== "amount") return input.value;
  return /^\d+$/.test(input.value) ? Number(input.value) : input.value; // the server tells what is wrong
}

function flash(cell) {
  cell.classList.remove("new");
  requestAnimationFrame(() => cell.classList.add("new"));
}

function total() {
  count.textContent = rows.children.length;
  packed.textContent = rows.querySelectorAll(":checked").length;
}

// Writing

function say(words) {
  notice.textContent = words;
}

function ask(action, pk, data) {
  const sent = send("rows", { action, pk, data });
  say(sent ? "" : OFFLINE);
  return sent;
}

const key = (element) => Number(element.closest("tr").dataset.pk);

rows.addEventListener("input", ({ target }) => {
  target.dataset.dirty = 1;
});

rows.addEventListener("change", ({ target }) => {
  delete target.dataset.dirty;
  target.removeAttribute("aria-invalid");
  ask("update", key(target), { [target.dataset.field]: shown(target) });
});

rows.addEventListener("click", ({ target }) => {
  if (target.dataset.do !== "delete") return;
  const next = target.closest("tr").nextElementSibling ?? target.closest("tr").previousElementSibling;
  ask("delete", key(target));
  (next?.querySelector(`.${target.closest("td").className.split(" ")[0]} button`) ?? thing).focus();
});

rows.addEventListener("keydown", (event) => {
  const { target, key: pressed } = event;
  if (pressed === "Escape" && target.dataset.dirty) {
    delete target.dataset.dirty;
    target.value = JSON.parse(target.dataset.saved);
    return;
  }
  const step = { Enter: 1, ArrowDown: 1, ArrowUp: -1 }[pressed];
  if (!step || !target.dataset.field || (target.type === "checkbox" && pressed === "Enter")) return;
  event.preventDefault();
  const row = target.closest("tr");
  const other = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  const to = other?.querySelector(`[data-field=${target.dataset.field}]`) ?? (step > 0 ? thing : null);
  to?.focus();
  to?.select?.();
});

add.addEventListener("submit", (event) => {
  event.preventDefault();
  thing.focus();
  if (!thing.value.trim()) say("Write what it is first.");
  else if (ask("create", null, { thing: thing.value.trim() })) thing.value = "";
});

total();
