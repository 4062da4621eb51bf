// One experiment: how it stands as long as it is followed, what it came to, and what can be done with it.

import { Forgotten, json, Refused } from "/page/access.js";
import { compare, offer } from "/page/comparison.js";
import { at, away, back, element } from "/page/elements.js";
import { events } from "/page/events.js";
import { Figures } from "/page/figures.js";

const ENDED = ["succeeded", "failed", "cancelled"];
const OTHERS = ["running", "failed", "cancelled", "diverged"];

let following = new AbortController();
let figures = null;
/** As it stands; null where none is followed, or nothing of it is known yet. */
let standing = null;

const hasEnded = () => ENDED.includes(standing?.state);
const path = () => `/v1/experiments/${standing.id}`;
export const waits = () => standing !== null && standing.runs.queued > 0 && standing.runs.running === 0;
export const title = () => titled(standing);

/** Its name, or what it asks in a few words. */
export function titled({ name, spec }) {
  if (name) return name;
  const names = [...new Set(spec.activations.map((activation) => activation.name))];
  const most = names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
  const swept = Object.keys(spec.sweep).map((setting) => setting.split(".").pop().replaceAll("_", " "));
  return `${most} on ${spec.dataset.name}${swept.length ? `, by ${swept.join(" and ")}` : ""}`;
}

/** Nothing of it stays on the page. */
export function leave() {
  following.abort();
  standing = figures = null;
  at("sure").close();
  for (const id of ["name", "id", "stands", "waits", "failures", "answer", "definition", "compared", "figures"]) at(id).replaceChildren();
  for (const id of ["progress", "actions", "outcome"]) at(id).hidden = true;
}

/** Until it ends, or another is followed. `attempt` does what may go wrong meanwhile. */
export async function follow(id, attempt) {
  leave();
  following = new AbortController();
  const { signal } = following;
  figures = new Figures(id, signal, attempt);
  at("name").textContent = "…";
  await show(id, signal, attempt);
  if (hasEnded()) return;
  for await (const event of events(id, signal)) {
    if (signal.aborted) return;
    if (event.name === "progress") {
      back();
      stand({ ...standing, ...event.data }, attempt);
    }
    if (event.name === "measurements") figures.news(standing, false);
    if (event.name === "lost") await showAgain(id, signal, attempt);
    if (event.name === "end") await show(id, signal, attempt);
    if (["lost", "end"].includes(event.name) && hasEnded()) return;
  }
}

/** As it stands, or as it did where the lab is away: it may be back soon. */
async function showAgain(id, signal, attempt) {
  try {
    await show(id, signal, attempt);
    back();
  } catch (error) {
    if (error instanceof Forgotten || error.name === "AbortError" || (error instanceof Refused && error.status < 500)) throw error;
    away();
  }
}

/** What comes after `signal` is about an experiment that is shown no more. */
async function show(id, signal, attempt) {
  const experiment = await json(`/v1/experiments/${id}`, { signal });
  signal.throwIfAborted();
  at("name").textContent = titled(experiment);
  at("id").textContent = [experiment.id, ...experiment.tags].join(" · ");
  stand(experiment, attempt);
  if (hasEnded()) await conclude(id, signal);
}

function stand(experiment, attempt) {
  standing = experiment;
  const { runs, state } = experiment;
  const others = OTHERS.filter((other) => runs[other]).map((other) => `, ${runs[other]} ${other}`);
  at("progress").value = experiment.progress;
  at("stands").textContent = `${state}: ${runs.succeeded} of ${experiment.plan.runs} networks done${others.join("")}`;
  at("stands").dataset.state = state;
  at("failures").replaceChildren(...experiment.failures.map(({ error_class: kind, error }) => element("li", `${kind}: ${error}`)));
  at("actions").hidden = false;
  at("progress").hidden = at("cancel").hidden = hasEnded();
  at("delete").hidden = !hasEnded();
  at("retry").hidden = !hasEnded() || !(runs.failed || runs.cancelled);
  if (waits()) attempt(sayWhatFor);
  else at("waits").replaceChildren();
  figures.news(experiment, hasEnded());
}

async function conclude(id, signal) {
  const { answer, table } = await json(`/v1/experiments/${id}/summary`, { signal });
  signal.throwIfAborted();
  at("answer").replaceChildren(...answer.map((sentence) => element("li", sentence)));
  offer(table);
  if (!standing.runs.succeeded) return;
  await compare(id, signal);
  at("outcome").hidden = false;
}

/** It is about others: no event of the experiment tells. */
export async function sayWhatFor() {
  const about = standing;
  const { answer } = await json("/v1/queue", { signal: following.signal });
  if (about === standing) at("waits").textContent = answer ?? "";
}

export const compareAgain = () => compare(standing.id, following.signal);

export async function cancel(attempt) {
  const { signal } = following;
  const experiment = await json(`${path()}/cancel`, { method: "POST" });
  if (!signal.aborted) stand(experiment, attempt);
}

export const retry = () => json(`${path()}/retry`, { method: "POST" });
