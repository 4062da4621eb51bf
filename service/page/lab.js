// The lab's page: its experiments, one of them as it goes on, and a place to ask for more. Everything that comes from the
// lab becomes text, never HTML.

import { ask, forget, Forgotten, hasToken, isToken, json, keep, Refused, save } from "/page/access.js";
import { events } from "/page/events.js";

const ENDED = ["succeeded", "failed", "cancelled"];
const EVERY_MS = 5000;
const SHOWN = 50;
const AWAY = "The lab does not answer.";

const at = (id) => document.getElementById(id);
const say = (sentence) => { at("said").textContent = sentence; };
const back = () => { if (at("said").textContent === AWAY) say(""); };
const shown = () => (/^#[0-9a-f-]{36}$/.test(location.hash) ? location.hash.slice(1) : null);

let following = new AbortController();
let older = null;
// The experiment that is followed, as it stands.
let standing = null;
const waits = () => standing !== null && standing.runs.queued > 0 && standing.runs.running === 0;

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

/** Does it, and says what is wrong: at the door where it is about the token. */
async function attempt(what) {
  try {
    await what();
    back();
    return true;
  } catch (error) {
    if (error instanceof Forgotten || error.name === "AbortError") return false;
    if (error instanceof Refused && error.status === 401) shut(error.message);
    else say(error instanceof Refused ? error.message : AWAY);
    return false;
  }
}

/** Nothing of the lab stays on the page. */
function shut(why) {
  say(hasToken() ? why : "This lab asks for a token.");
  forget();
  following.abort();
  standing = null;
  at("door").hidden = false;
  for (const id of ["lab", "kept", "shown"]) at(id).hidden = true;
  for (const id of ["list", "answer", "wrong", "shown", "name", "stands", "waits"]) at(id).replaceChildren();
}

async function enter() {
  const admitted = await attempt(async () => {
    try {
      await list();
    } catch (error) {
      // A token that may not read is of no use here.
      if (error.status === 403) shut(error.message);
      throw error;
    }
  });
  if (!admitted) return;
  say("");
  at("door").hidden = true;
  at("lab").hidden = false;
  at("kept").hidden = !hasToken();
  await follow();
}

async function list() {
  const page = await json(`/v1/experiments?limit=${SHOWN}`);
  at("list").replaceChildren(...page.items.map(row));
  at("none").hidden = page.items.length > 0;
  older = page.next;
  at("older").hidden = older === null;
}

async function listOlder() {
  const page = await json(`/v1/experiments?limit=${SHOWN}&cursor=${encodeURIComponent(older)}`);
  at("list").append(...page.items.map(row));
  older = page.next;
  at("older").hidden = older === null;
}

function row(experiment) {
  const link = element("a", "");
  link.href = `#${experiment.id}`;
  link.append(element("bdi", experiment.name || experiment.id.slice(0, 8)));
  const name = element("td", "");
  name.append(link, element("small", experiment.tags.join(", ")));
  const asked = new Date(experiment.created_at).toLocaleString();
  const made = element("tr", "");
  made.append(name, ...[experiment.state, `${Math.floor(100 * experiment.progress)} %`, experiment.plan.runs, asked].map((text) => element("td", text)));
  return made;
}

/** The experiment that the address names, for as long as it does. */
async function follow() {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  const id = shown();
  standing = null;
  at("waits").replaceChildren();
  at("experiment").hidden = id === null;
  if (id === null) return;
  await attempt(async () => {
    let experiment = await show(id, signal);
    if (ENDED.includes(experiment.state)) return;
    for await (const event of events(id, signal)) {
      if (signal.aborted) return;
      if (event.name === "progress") {
        back();
        stand((experiment = { ...experiment, ...event.data }));
      }
      if (event.name === "lost") experiment = await shownAgain(id, signal, experiment);
      if (event.name === "end") experiment = await show(id, signal);
      if (["lost", "end"].includes(event.name) && ENDED.includes(experiment.state)) break;
    }
    if (!signal.aborted) await list();
  });
}

/** As it stands, or as it did where the lab is away: it may be back soon. */
async function shownAgain(id, signal, before) {
  try {
    const experiment = await show(id, signal);
    back();
    return experiment;
  } catch (error) {
    if (error instanceof Forgotten || error.name === "AbortError" || (error instanceof Refused && error.status < 500)) throw error;
    say(AWAY);
    return before;
  }
}

/** What comes after `signal` is about an experiment that is shown no more. */
async function show(id, signal) {
  const experiment = await json(`/v1/experiments/${id}`, { signal });
  signal.throwIfAborted();
  at("name").textContent = experiment.name || experiment.id;
  at("answer").replaceChildren();
  stand(experiment);
  if (ENDED.includes(experiment.state)) {
    const { answer } = await json(`/v1/experiments/${id}/summary`, { signal });
    signal.throwIfAborted();
    at("answer").replaceChildren(...answer.map((sentence) => element("li", sentence)));
  }
  return experiment;
}

function stand(experiment) {
  standing = experiment;
  const { runs } = experiment;
  const others = ["running", "failed", "cancelled", "diverged"].filter((state) => runs[state]).map((state) => `, ${runs[state]} ${state}`);
  at("progress").value = experiment.progress;
  at("stands").textContent = `${experiment.state}: ${runs.succeeded} of ${experiment.plan.runs} networks done${others.join("")}`;
  at("cancel").hidden = ENDED.includes(experiment.state);
  if (waits()) attempt(sayWhatFor);
  else at("waits").replaceChildren();
}

/** It is about others: no event of the experiment tells. */
async function sayWhatFor() {
  const about = standing;
  const { answer } = await json("/v1/queue", { signal: following.signal });
  if (about === standing) at("waits").textContent = answer ?? "";
}

async function submit() {
  const button = at("ask").querySelector("button");
  at("wrong").replaceChildren();
  button.disabled = true;
  try {
    const headers = { "Content-Type": "application/json" };
    const asked = await json("/v1/experiments", { method: "POST", headers, body: at("request").value });
    await list();
    location.hash = asked.id;
  } catch (error) {
    if (error instanceof Forgotten) throw error;
    const sentences = error.fields?.length ? error.fields.map((field) => field.message) : [error.message];
    at("wrong").replaceChildren(...sentences.map((sentence) => element("li", sentence)));
    if (error.status === 401) throw error;
  } finally {
    button.disabled = false;
  }
}

function on(id, event, what) {
  at(id).addEventListener(event, (happening) => {
    happening.preventDefault();
    say("");
    attempt(what);
  });
}

at("door").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("token").value.trim();
  at("token").value = "";
  if (!isToken(text)) return say("That is no token: one is a word that begins with actlab_, 58 characters long.");
  keep(text);
  enter();
});
at("forget").addEventListener("click", () => {
  shut("The token is forgotten.");
});
on("ask", "submit", submit);
on("older", "click", listOlder);
on("cancel", "click", async () => {
  const { signal } = following;
  const experiment = await json(`/v1/experiments/${shown()}/cancel`, { method: "POST" });
  if (!signal.aborted) stand(experiment);
});
on("report", "click", () => save(`/v1/experiments/${shown()}/report`, `activation-lab-${shown()}.html`));
on("csv", "click", () => save(`/v1/experiments/${shown()}/measurements?format=csv`, `measurements-${shown()}.csv`));
addEventListener("hashchange", follow);
setInterval(() => {
  if (document.hidden || at("lab").hidden) return;
  if (at("list").childElementCount <= SHOWN) attempt(list);
  if (waits()) attempt(sayWhatFor);
}, EVERY_MS);

// A link carries no token.
for (const link of document.querySelectorAll('a[href^="/v1/"]')) {
  link.addEventListener("click", (event) => {
    if (!hasToken() && at("door").hidden) return;
    event.preventDefault();
    attempt(async () => {
      at("shown").textContent = JSON.stringify(await (await ask(link.getAttribute("href"))).json(), null, 2);
      at("shown").hidden = false;
      at("shown").scrollIntoView();
    });
  });
}

enter();
