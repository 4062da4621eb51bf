// The lab's page: its experiments, one of them as it goes on, and a place to ask for more.

import { ask, forget, Forgotten, hasToken, isToken, json, keep, Refused, save } from "/page/access.js";
import { at, away, back, element, named, row, say } from "/page/elements.js";
import { cancel, compareAgain, follow, leave, retry, sayWhatFor, title, titled, waits } from "/page/experiment.js";

const EVERY_MS = 5000;
const SHOWN = 50;

const shown = () => (/^#[0-9a-f-]{36}$/.test(location.hash) ? location.hash.slice(1) : null);

let older = null;

/** Does it, and says what is wrong: at the door where it is about the token. */
async function attempt(what) {
  try {
    await what();
    back();
    return true;
  } catch (error) {
    if (error instanceof Forgotten || error.name === "AbortError") return false;
    if (error instanceof Refused && error.status === 401) shut(error.message);
    else if (error instanceof Refused) say(error.message);
    else away();
    return false;
  }
}

/** Nothing of the lab stays on the page. */
function shut(why) {
  say(hasToken() ? why : "This lab asks for a token.");
  forget();
  leave();
  at("door").hidden = false;
  for (const id of ["lab", "kept", "shown"]) at(id).hidden = true;
  for (const id of ["list", "wrong", "shown"]) at(id).replaceChildren();
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
  await visit();
}

/** The experiment that the address names, or all of them. */
async function visit() {
  const id = shown();
  at("experiment").hidden = id === null;
  at("experiments").hidden = id !== null;
  if (id === null) leave();
  else await attempt(() => follow(id, attempt));
}

async function list() {
  const page = await json(`/v1/experiments?limit=${SHOWN}`);
  at("list").replaceChildren(...page.items.map(listed));
  at("none").hidden = page.items.length > 0;
  at("table").hidden = page.items.length === 0;
  older = page.next;
  at("older").hidden = older === null;
}

async function listOlder() {
  const page = await json(`/v1/experiments?limit=${SHOWN}&cursor=${encodeURIComponent(older)}`);
  at("list").append(...page.items.map(listed));
  older = page.next;
  at("older").hidden = older === null;
}

function listed(experiment) {
  const link = element("a", named(titled(experiment)));
  link.href = `#${experiment.id}`;
  const state = element("span", experiment.state);
  state.dataset.state = experiment.state;
  return row(
    ["experiment", link, element("small", [experiment.id.slice(0, 8), ...experiment.tags].join(" · "))],
    ["state", state],
    ["done", `${Math.floor(100 * experiment.progress)} %`],
    ["networks", String(experiment.plan.runs)],
    ["asked", new Date(experiment.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
  );
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

function askWhetherToDelete() {
  at("doomed").textContent = title();
  at("doomed-id").textContent = shown();
  at("sure").showModal();
}

async function remove() {
  at("sure").close();
  const [id, was] = [shown(), title()];
  await ask(`/v1/experiments/${id}`, { method: "DELETE" });
  if (id === shown()) {
    history.replaceState(null, "", "#");
    await visit();
  }
  await list();
  say(`“${was}” is deleted.`);
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
on("cancel", "click", () => cancel(attempt));
on("retry", "click", async () => {
  await retry();
  visit();
});
on("delete", "click", askWhetherToDelete);
on("keep", "click", () => at("sure").close());
on("remove", "click", remove);
on("metric", "change", compareAgain);
on("report", "click", () => save(`/v1/experiments/${shown()}/report`, `activation-lab-${shown()}.html`));
on("csv", "click", () => save(`/v1/experiments/${shown()}/measurements?format=csv`, `measurements-${shown()}.csv`));
addEventListener("hashchange", () => {
  const isOne = shown() !== null;
  say("");
  visit();
  if (!isOne && !at("lab").hidden) attempt(list);
  scrollTo(0, 0);
  // Whoever hears the page hears where it has come to.
  at(isOne ? "name" : "all").focus({ preventScroll: true });
});
setInterval(() => {
  if (document.hidden || at("lab").hidden) return;
  if (shown() === null && at("list").childElementCount <= SHOWN) attempt(list);
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
