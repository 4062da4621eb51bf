// The arms of an experiment that has ended, compared in pairs of equal seeds.

import { json } from "/page/access.js";
import { at, element, named, number, row } from "/page/elements.js";

const OTHERS = ["failed", "cancelled", "diverged"];

/** Fills the table with what the metric chosen there says. */
export async function compare(id, signal) {
  const answer = await json(`/v1/experiments/${id}/comparison?metric=${at("metric").value}`, { signal });
  signal.throwIfAborted();
  const probe = answer.at === null ? "" : ` Taken on a probe of ${probeOf(answer)} training inputs, at the ${answer.at} step.`;
  const how = `Means over networks, with ${number(100 * answer.level)} % intervals; differences are of pairs of equal seeds, p adjusted (Holm).`;
  at("definition").textContent = [`${answer.definition}${probe}`, how, answer.note].filter(Boolean).join(" ");
  at("compared").replaceChildren(...answer.arms.map((arm) => armRow(arm, answer.metric === "test_accuracy")));
}

/** `table` is the summary's: a metric that no network has a value of is none to choose. */
export function offer(table) {
  const accuracy = at("metric").querySelector('[value="test_accuracy"]');
  accuracy.hidden = accuracy.disabled = !table.some((arm) => arm.test_accuracy.n);
  at("metric").value = accuracy.hidden ? "test_loss" : "test_accuracy";
}

export function probeOf({ arms, probe_size: smallest }) {
  return arms.some((arm) => arm.probe_size > smallest) ? `at least ${smallest}` : smallest;
}

function armRow(arm, inPercent) {
  const less = arm.difference;
  const others = OTHERS.filter((state) => arm[state]).map((state) => `${arm[state]} ${state}`);
  return row(
    ["arm", named(arm.label)],
    ["networks", String(arm.n), ...small(others.join(", "))],
    ["mean", ...estimated(arm, inPercent ? " %" : "")],
    ["less its baseline’s", ...(less ? [...estimated(less, inPercent ? " points" : ""), ...small(less.note)] : ["baseline"])],
    ["pairs", less ? String(less.n) : "–"],
    ["adjusted p", number(less ? less.p_holm : null)],
  );
}

function estimated({ mean, low, high }, unit) {
  const shown = (value) => number(unit && value !== null ? 100 * value : value);
  if (mean === null) return [shown(null)];
  return [`${shown(mean)}${unit}`, ...small(low === null ? "" : `${shown(low)} to ${shown(high)}`)];
}

const small = (text) => (text ? [element("small", text)] : []);
