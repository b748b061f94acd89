// Keeps the page fresh. The server renders every value; this fetches the same rendering anew and changes what differs, so that
// focus, open parts and scroll positions stay. Without it the page refreshes itself.

const PERIOD = 900; // ms between two looks
const DEADLINE = 4000; // ms that an answer may take
const QUIET = 4000; // ms without an answer until the badge says so

const main = document.getElementById("page");
const badge = document.getElementById("badge");
const address = (() => {
  const url = new URL(location.href);
  url.searchParams.set("part", "main");
  url.searchParams.delete("told");
  url.hash = "";
  return url;
})();

let heard = performance.now();
let busy = false;
let wanted = false;
let tag = "";

async function look() {
  if (busy) {
    wanted = true;
    return;
  }
  busy = true;
  wanted = false;
  try {
    const reply = await fetch(address, {
      signal: AbortSignal.timeout(DEADLINE),
      headers: { accept: "text/html" },
      cache: "no-store",
    });
    if (!reply.ok) throw new Error(String(reply.status));
    const text = await reply.text();
    heard = performance.now();
    if (text !== tag) {
      tag = text;
      const fresh = new DOMParser().parseFromString(text, "text/html").body;
      morph(main, fresh);
    }
  } catch {
    // The badge says for how long nothing was heard.
  }
  busy = false;
  say();
  if (wanted) look();
}

// What is said is put into words only when it changes: a screen reader is told once that the peer is silent, not every second.
const words = document.createElement("span");
const since = document.createElement("span");
since.setAttribute("aria-hidden", "true");
badge.replaceChildren(words, since);

function say() {
  const silence = performance.now() - heard;
  const silent = silence > QUIET;
  const text = silent ? "This peer does not answer" : "Live";
  if (words.textContent !== text) words.textContent = text;
  since.textContent = silent ? `, last heard ${Math.round(silence / 1000)} s ago` : "";
  badge.classList.toggle("silent", silent);
  badge.classList.toggle("live", !silent);
}

// Makes `old` equal to `fresh`, touching only what differs: nothing that stays is moved, so that focus stays, too.
function morph(old, fresh) {
  let at = next(old.firstChild);
  for (let wish = next(fresh.firstChild); wish; wish = next(wish.nextSibling)) {
    let match = at;
    while (match && !alike(match, wish)) match = next(match.nextSibling);
    if (!match) {
      old.insertBefore(document.importNode(wish, true), at);
      continue;
    }
    while (at !== match) at = drop(at);
    change(match, wish);
    at = next(match.nextSibling);
  }
  while (at) at = drop(at);
}

// Room between elements means nothing.
function next(node) {
  while (node && node.nodeType === Node.TEXT_NODE && !node.nodeValue.trim()) node = node.nextSibling;
  return node;
}

function drop(node) {
  const after = next(node.nextSibling);
  node.remove();
  return after;
}

// Whether one is the other at a later time. A card never becomes another one: its buttons would change their meaning.
function alike(one, other) {
  if (one.nodeType !== other.nodeType || one.nodeName !== other.nodeName) return false;
  if (one.nodeType !== Node.ELEMENT_NODE) return true;
  return one.id === other.id && one.dataset.key === other.dataset.key && one.classList[0] === other.classList[0];
}

function change(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) {
    const mine = name === "open" && old.nodeName === "DETAILS";
    if (!mine && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morph(old, fresh);
}

// Messages say that something has happened, nothing else is read of them: what it was is in the next rendering.
let soon = 0;
let pause = 3000;
function listen() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws?scope=mesh`);
  socket.onopen = () => (pause = 3000);
  socket.onmessage = () => {
    soon ||= setTimeout(() => ((soon = 0), look()), 300);
  };
  socket.onclose = () => {
    setTimeout(listen, pause);
    pause = Math.min(pause * 2, 60000);
  };
}

listen();
setInterval(() => {
  if (document.visibilityState === "visible") look();
}, PERIOD);
setInterval(say, 1000);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") look();
});
say();
