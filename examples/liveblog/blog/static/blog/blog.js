// A live blog: posts appear, change and disappear. Writers have buttons.

import { openSocket } from "./socket.js";

const [posts, newest, composer, text, draft, notice] = [
  "posts", "newest", "composer", "text", "draft", "notice",
].map((id) => document.getElementById(id));
const template = document.getElementById("post").content.firstElementChild;
const OFFLINE = "Not connected. Try again when the connection is back.";

const send = openSocket(document.querySelector("main").dataset.socket, "history", {
  history(all) {
    const there = new Set(all.map(({ pk }) => String(pk)));
    for (const post of [...posts.children]) if (!there.has(post.dataset.pk)) post.remove();
    all.forEach(put);
    newest.hidden = true;
  },
  posts: (payload) => handlers[payload.action]?.(payload),
});

const handlers = {
  create(payload) {
    const post = put(payload);
    post.classList.add("new");
    if (scrollY > posts.offsetTop) announce();
  },
  update: put,
  delete: ({ pk }) => find(pk)?.remove(),
  error({ error, errors }) {
    const words = Object.values(errors).flat();
    const form = posts.querySelector("[data-saving]");
    form?.removeAttribute("data-saving");
    (form?.querySelector(".notice") ?? notice).textContent = words.length ? words.join(" ") : error;
  },
};

// Posts, each once, newest first

const find = (pk) => posts.querySelector(`[data-pk="${pk}"]`);

function put({ pk, data }) {
  const post = find(pk) ?? insert(pk);
  const time = post.querySelector("time");
  time.dateTime = data.created;
  time.textContent = new Date(data.created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  post.classList.toggle("draft", data.is_draft);
  post.querySelector(".tag").hidden = !data.is_draft;
  post.querySelector(".text").textContent = data.text;
  const toggle = post.querySelector("[data-do=toggle]");
  if (toggle) toggle.textContent = data.is_draft ? "Publish" : "Withdraw";
  post.querySelector("[data-saving] [data-do=cancel]")?.click(); // a post that is only being edited stays
  return post;
}

function insert(pk) {
  const post = template.cloneNode(true);
  post.dataset.pk = pk;
  const next = [...posts.children].find((other) => Number(other.dataset.pk) < pk);
  posts.insertBefore(post, next ?? null);
  return post;
}

// New posts above the reader's position are announced, and the page does not scroll.

function announce() {
  newest.textContent = "New posts ↑";
  newest.hidden = false;
}

newest.addEventListener("click", () => {
  scrollTo({ top: 0 });
  newest.hidden = true;
});
addEventListener("scroll", () => scrollY < posts.offsetTop && (newest.hidden = true));

// Writing

function ask(action, pk, data, place = notice) {
  place.textContent = "";
  const sent = send("posts", { action, pk, data });
  if (!sent) place.textContent = OFFLINE;
  return sent;
}

composer?.addEventListener("submit", (event) => {
  event.preventDefault();
  text.focus();
  if (!text.value.trim()) notice.textContent = "Write something first.";
  else if (ask("create", null, { text: text.value, is_draft: draft.checked })) text.value = "";
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest("form");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form?.requestSubmit();
  if (event.key === "Escape") form?.querySelector("[data-do=cancel]")?.click();
});

posts.addEventListener("click", (event) => {
  const action = event.target.dataset.do;
  const post = event.target.closest(".post");
  if (action === "edit") edit(post);
  if (action === "toggle") ask("update", Number(post.dataset.pk), { is_draft: !post.classList.contains("draft") });
  if (action === "delete" && confirm("Delete this post?")) ask("delete", Number(post.dataset.pk));
});

function edit(post) {
  const form = document.createElement("form");
  form.className = "editing";
  form.innerHTML = `<textarea rows="4" aria-label="Text"></textarea><p class="notice" role="alert"></p>
    <div class="row"><button>Save</button> <button type="button" class="quiet" data-do="cancel">Cancel</button></div>`;
  const [words, box, actions] = [post.querySelector(".text"), form.firstElementChild, post.querySelector(".actions")];
  box.maxLength = text.maxLength;
  box.value = words.textContent;
  words.hidden = actions.hidden = true;
  words.after(form);
  box.focus();
  form.querySelector("[data-do=cancel]").addEventListener("click", () => {
    words.hidden = actions.hidden = false;
    form.remove();
    actions.querySelector("[data-do=edit]").focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const sent = ask("update", Number(post.dataset.pk), { text: box.value }, form.querySelector(".notice"));
    form.toggleAttribute("data-saving", sent);
  });
}
