// The page draws what the server sends and sends what people do; it knows nothing of
// Slack or keyturn. Who one is and what one looks at are in its address.
"use strict";

const $ = (id) => document.getElementById(id);
const body = document.body;

// ---- What one looks at

const look = {as: body.dataset.as, channel: body.dataset.channel, thread: body.dataset.thread};
let stream;

// go changes what one looks at, and listens to that.
function go(change) {
  Object.assign(look, change);
  if ("channel" in change && !("thread" in change)) look.thread = "";
  const query = new URLSearchParams(look);
  history.replaceState(null, "", "?" + query);
  listen(query);
}

function listen(query) {
  if (stream) stream.close();
  let first = true;
  stream = new EventSource("/events?" + query);
  stream.onmessage = (event) => {
    const panes = JSON.parse(event.data);
    if (panes.modal && panes.modal.length === 0) hideModal(); // while what has the focus in it is still there
    for (const box of document.querySelectorAll("[data-pane]")) {
      if (panes[box.dataset.pane]) draw(box, panes[box.dataset.pane], first);
    }
    first = false;
    after(panes);
  };
  stream.onopen = () => say("");
  stream.onerror = () => say("The rehearsal does not answer. It may have ended: start it again, and open the new address.", true);
}

// ---- Drawing

// draw makes a pane's pieces those that came. A piece that is the same is left alone, so
// that nobody loses their place in it.
function draw(box, pieces, first) {
  if (first) box.follows = true;
  const had = new Map([...box.children].map((el) => [el.dataset.k, el]));
  let before = null;
  for (const {k, h} of pieces) {
    let el = had.get(k);
    had.delete(k);
    if (!el || el.drawnAs !== h) el = replace(box, el, k, h);
    const next = before ? before.nextElementSibling : box.firstElementChild;
    if (el !== next) box.insertBefore(el, next);
    before = el;
  }
  for (const el of had.values()) el.remove();
  follow(box);
}

// follow shows the end of a log, unless somebody reads further up.
function follow(box) {
  if (box.follows && box.getAttribute("role") === "log") box.scrollTop = box.scrollHeight;
}

for (const box of document.querySelectorAll("[role=log]")) {
  box.addEventListener("scroll", () => { box.follows = box.scrollHeight - box.scrollTop - box.clientHeight < 60; });
  new ResizeObserver(() => follow(box)).observe(box);
}

function replace(box, old, key, html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  const el = made.content.firstElementChild;
  el.dataset.k = key;
  el.drawnAs = html;
  if (!old) return el;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && handle(focused);
  keepWords(old, el);
  old.replaceWith(el);
  if (focused) ((again && el.querySelector(again)) || el).focus({preventScroll: true});
  return el;
}

// handle is a selector that finds an element again after it was drawn anew.
function handle(el) {
  if (el.id) return "#" + CSS.escape(el.id);
  if (el.dataset.action) return `[data-action="${CSS.escape(el.dataset.action)}"][data-value="${CSS.escape(el.dataset.value)}"]`;
  return "";
}

// keepWords takes over what was filled in: a form that is drawn anew loses nothing.
function keepWords(old, el) {
  for (const input of old.querySelectorAll("input[name], textarea[name], select[name]")) {
    const same = [...el.querySelectorAll(`[name="${CSS.escape(input.name)}"]`)]
      .find((other) => other.type === input.type && (input.type !== "checkbox" || other.value === input.value));
    if (!same) continue;
    if (input.type === "checkbox") same.checked = input.checked;
    else same.value = input.value;
  }
}

// after does what is not in a pane's pieces: what is open, and what it is called.
function after(panes) {
  if (panes.modal) showModal();
  if (panes.thread) $("thread").hidden = panes.thread.length === 0;
  if (panes.channels) {
    const here = document.querySelector("[data-go][aria-current]");
    if (here) {
      look.channel = here.dataset.go;
      $("channel-name").textContent = here.dataset.name;
      $("line").placeholder = `Message ${here.dataset.name}, or /signing-keys …`;
    }
  }
}

// ---- Modals and confirm dialogs

let opener = null; // what had the focus before

function hideModal() {
  if (!$("modal").open) return;
  say("");
  $("modal").close();
  // Closing gives the focus back, but leaves the caret in the form; without it nothing
  // that is typed arrives.
  document.activeElement.blur();
  (opener && opener.isConnected ? opener : $("line")).focus();
}

function showModal() {
  const dialog = $("modal");
  const form = dialog.querySelector("form");
  if (!form) return;
  if (!dialog.open) {
    opener = document.activeElement;
    dialog.showModal();
  }
  const fields = form.querySelector("input, textarea, select");
  const wrong = form.querySelector("[aria-invalid=true]");
  if (wrong) wrong.focus();
  else if (!fields) form.querySelector(".modal-body").focus();
  else if (!form.contains(document.activeElement) || !document.activeElement.name) (form.querySelector("textarea") || fields).focus();
}

// confirmed asks what a button wants to be asked first.
function confirmed(button) {
  const d = button.dataset;
  if (!d.confirmTitle) return Promise.resolve(true);
  const dialog = $("confirm"), yes = $("confirm-yes"), no = $("confirm-no");
  $("confirm-title").textContent = d.confirmTitle;
  $("confirm-text").textContent = d.confirmText;
  yes.textContent = d.confirmYes;
  no.textContent = d.confirmNo;
  yes.className = "bk-button " + (d.confirmStyle === "danger" ? "danger" : "primary");
  return new Promise((resolve) => {
    let answer = false;
    yes.onclick = () => { answer = true; dialog.close(); };
    no.onclick = () => dialog.close();
    dialog.onclose = () => {
      if (dialog.open) return; // it is told late, of the time before
      button.focus();
      resolve(answer);
    };
    dialog.showModal();
    no.focus();
  });
}

// ---- What people do

// act tells the server what somebody does, and shows what Slack says if nothing came of it.
async function act(what, more) {
  say("");
  try {
    const answer = await fetch("/" + what, {
      method: "POST", headers: {"Content-Type": "application/json"},
      body: JSON.stringify({as: look.as, channel: look.channel, ...more}),
    });
    if (!answer.ok) throw new Error(await answer.text());
    const {error, warning, done} = await answer.json();
    if (done) say(done);
    if (error || warning) say(error ? error[0].toUpperCase() + error.slice(1) + "." : "⚠ " + warning, true);
    return !error && !warning;
  } catch (err) {
    say("That did not reach the rehearsal: " + err.message, true);
    return false;
  }
}

function say(words, isTrouble = false) {
  for (const place of ["alert", "modal-alert"]) $(place).textContent = isTrouble ? words : ""; // beside an open form and in it
  $("info").textContent = isTrouble ? "" : words;
}

async function press(button) {
  if (!await confirmed(button)) return;
  const message = button.closest("[data-ts]");
  button.setAttribute("aria-busy", "true");
  await act("press", {
    ts: message.dataset.ts, channel: message.dataset.channel,
    action: button.dataset.action, block: button.dataset.block, value: button.dataset.value,
  });
  button.removeAttribute("aria-busy");
}

function be(name) {
  const radio = document.querySelector(`input[name=as][value="${CSS.escape(name)}"]`);
  radio.checked = true;
  body.dataset.as = name;
  go({as: name, thread: look.thread});
}

// lead shows the message that a link of the simulated workspace leads to.
function lead(link) {
  const found = /^https:\/\/sim\.slack\.example\/archives\/([^/]+)\/p(\d+)(\d{6})/.exec(link.href);
  if (!found) return false;
  const [, channel, seconds, micros] = found;
  if ($("modal").contains(link)) act("close");
  const seen = () => $(`m-${seconds}.${micros}`);
  if (look.channel !== channel) go({channel});
  const wait = new MutationObserver(() => reach());
  const reach = () => {
    const message = seen();
    if (message) {
      wait.disconnect();
      message.scrollIntoView({block: "center"});
      if ($("modal").open) opener = message; // which gets the focus as soon as it can
      else message.focus();
    }
  };
  wait.observe(document.querySelector("[data-pane=messages]"), {childList: true});
  reach();
  return true;
}

const clicks = [
  ["[data-action]", press],
  ["[data-go]", (b) => { go({channel: b.dataset.go}); show("slack"); }],
  ["[data-open]", (b) => { go({thread: b.dataset.open}); $("close-thread").focus(); }],
  ["#close-thread", () => { go({thread: ""}); $("line").focus(); }],
  ["[data-dismiss]", (b) => act("dismiss", {ts: b.dataset.dismiss})],
  ["[data-close]", () => act("close")],
  ["[data-fault]", (b) => act("fault", {name: b.dataset.fault})],
  ["[data-prove]", (b) => act("prove", {name: b.dataset.prove})],
  ["[data-be]", (b) => be(b.dataset.be)],
  ["[data-tour]", (b) => act("tour", {name: b.dataset.tour})],
  ["#send", () => send()],
  ["#restart", () => act("restart")],
  ["#theme", () => toggleTheme()],
  [".tabs [data-shows]", (b) => show(b.dataset.shows)],
];

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (link && lead(link)) return event.preventDefault();
  for (const [selector, does] of clicks) {
    const el = event.target.closest(selector);
    if (el && !el.disabled) return does(el);
  }
});

document.addEventListener("change", (event) => {
  if (event.target.name === "as") be(event.target.value);
  if (event.target.id === "keeps") act("keep", {value: event.target.value});
});

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const values = {};
  for (const box of form.querySelectorAll("fieldset")) {
    const first = box.querySelector("input[type=checkbox]");
    if (first) values[first.name] = [];
  }
  for (const [name, value] of new FormData(form)) {
    if (Array.isArray(values[name])) values[name].push(value);
    else if (value !== "") values[name] = value;
    else if (form.elements[name].tagName !== "SELECT") values[name] = "";
  }
  await act("submit", {values});
});

$("modal").addEventListener("cancel", (event) => {
  event.preventDefault(); // it closes when the workspace has closed it
  act("close");
});

// ---- The message line

const line = $("line"), list = $("completions");
let chosen = null;

function offer() {
  const typed = line.value.trimStart().toLowerCase();
  let any = false;
  for (const option of list.children) {
    const text = option.dataset.text.toLowerCase();
    option.hidden = !typed.startsWith("/") || !text.startsWith(typed) || text === typed;
    any = any || !option.hidden;
  }
  list.hidden = !any;
  line.setAttribute("aria-expanded", any);
  choose(null);
}

function choose(option) {
  if (chosen) chosen.setAttribute("aria-selected", "false");
  chosen = option;
  if (option) {
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({block: "nearest"});
    line.setAttribute("aria-activedescendant", option.id);
  } else line.removeAttribute("aria-activedescendant");
}

function complete(option) {
  line.value = option.dataset.text + " ";
  offer();
  line.focus();
}

async function send() {
  const text = line.value;
  line.value = "";
  offer();
  if (!await act("type", {text}) && line.value === "") line.value = text;
}

line.addEventListener("input", offer);
line.addEventListener("blur", () => { list.hidden = true; line.setAttribute("aria-expanded", "false"); });
line.addEventListener("keydown", (event) => {
  const shown = [...list.children].filter((option) => !option.hidden);
  const at = shown.indexOf(chosen);
  if (event.isComposing) return;
  if (event.key === "Enter") chosen ? complete(chosen) : send();
  else if (list.hidden) return;
  else if (event.key === "ArrowDown") choose(shown[(at + 1) % shown.length]);
  else if (event.key === "ArrowUp") choose(shown[(at <= 0 ? shown.length : at) - 1]);
  else if (event.key === "Escape") { list.hidden = true; choose(null); }
  else if (event.key === "Tab" && !event.shiftKey) complete(chosen || shown[0]);
  else return;
  event.preventDefault();
});
list.addEventListener("mousedown", (event) => {
  event.preventDefault(); // the line keeps the focus
  const option = event.target.closest("[role=option]");
  if (option) complete(option);
});

// ---- The page itself

function show(part) {
  body.dataset.shows = part;
  for (const tab of document.querySelectorAll(".tabs [data-shows]")) tab.setAttribute("aria-pressed", tab.dataset.shows === part);
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

go({});
