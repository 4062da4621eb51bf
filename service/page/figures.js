// An experiment's figures: fetched when something may be new, seldom while it trains, and drawn by Plotly, which comes
// when there is something to draw. Nothing is asked for in a tab that nobody sees.

import { ask, json } from "/page/access.js";
import { at, element, number } from "/page/elements.js";

// Whether the probe has a part in it.
const NAMES = { learning_curves: false, gradient_flow: true, dead_fraction: true, mean_activation: true };
// Between two looks while it trains, and before there is anything; what they take is at most this share of the time.
const LEAST_MS = 15_000;
const FIRST_MS = 2_000;
const SHARE = 0.02;
// A plot, and more than a row of its legend takes.
const PLOT_PX = 280;
const ROW_PX = 40;

let loading = null;

export class Figures {
  /** Of the experiment `id`, until `signal`. `attempt` says what goes wrong, and whether anything did. */
  constructor(id, signal, attempt) {
    Object.assign(this, { path: `/v1/experiments/${id}`, signal, attempt, places: new Map(), dueAt: 0, isStale: false, isDrawing: false });
    for (const old of document.querySelectorAll("#figures .drawn")) window.Plotly?.purge(old);
    at("figures").replaceChildren();
    document.addEventListener("visibilitychange", () => this.look(), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.places.forEach(draw), { signal });
    signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /** How the experiment stands: there may be something new to draw. */
  news(experiment, hasEnded) {
    if (!experiment.runs.running && !experiment.runs.succeeded) return;
    Object.assign(this, { experiment, hasEnded, isStale: true });
    if (hasEnded) this.dueAt = 0;
    this.look();
  }

  async look() {
    clearTimeout(this.timer);
    if (!this.isStale || this.isDrawing || document.hidden || this.signal.aborted) return;
    const beganAt = performance.now();
    if (beganAt < this.dueAt) {
      this.timer = setTimeout(() => this.look(), this.dueAt - beganAt);
      return;
    }
    this.isDrawing = true;
    this.isStale = false;
    const { hasEnded } = this;
    if (!(await this.attempt(() => this.fetch()))) this.isStale = true;
    this.isDrawing = false;
    const endedAt = performance.now();
    const isLast = this.hasEnded && !hasEnded;
    const rest = Math.max(this.places.size ? LEAST_MS : FIRST_MS, (endedAt - beganAt) / SHARE);
    this.dueAt = isLast ? 0 : endedAt + rest;
    this.look();
  }

  async fetch() {
    for (const name of Object.keys(NAMES)) {
      const place = this.places.get(name);
      const headers = place ? { "If-None-Match": place.tag } : {};
      const answer = await ask(`${this.path}/figures/${name}`, { headers, signal: this.signal });
      if (answer.status !== 304) {
        const figure = await answer.json();
        if (!figure.data.some((line) => line.y.some((y) => y !== null))) {
          // Without curves there is nothing at all.
          if (!this.places.size) return;
          continue;
        }
        await this.show(name, figure, answer.headers.get("ETag"));
      }
      this.places.get(name).caption.textContent = this.caption(name);
    }
  }

  async show(name, figure, tag) {
    this.probe ??= (await json(`${this.path}/curves?limit=1`, { signal: this.signal })).probe_size;
    await plotly();
    this.signal.throwIfAborted();
    if (!this.places.has(name)) this.places.set(name, place(name));
    const shown = Object.assign(this.places.get(name), { figure, tag });
    draw(shown);
    if (shown.numbers.open) tabulate(shown);
  }

  caption(name) {
    const { plan, runs, spec } = this.experiment;
    const n = runs.succeeded + runs.running;
    const each = plan.runs / plan.arms;
    const whole = `${each} ${each === 1 ? "network" : "networks"} an arm`;
    const told = [`Means over ${n === plan.runs ? whole : `${n} of ${plan.runs} networks in ${plan.arms} arms`}.`];
    if (runs.diverged) told.push(`${runs.diverged} diverged and ended early.`);
    const varies = Object.keys(spec.sweep).some((path) => path.startsWith("dataset."));
    if (NAMES[name]) told.push(`Taken on a probe of ${varies ? "at least " : ""}${this.probe} training inputs.`);
    return told.join(" ");
  }
}

/** Where a figure stands, with what is said of it. */
function place(name) {
  const made = { title: element("h4"), caption: element("p"), y: element("p"), drawn: element("div"), numbers: element("details") };
  made.caption.className = made.y.className = "quiet";
  made.drawn.className = "drawn";
  made.drawn.setAttribute("role", "img");
  made.table = element("div");
  made.table.className = "scroll";
  made.numbers.append(element("summary", "Its numbers"), made.table);
  made.numbers.addEventListener("toggle", () => made.numbers.open && tabulate(made));
  const figure = element("figure", element("figcaption", made.title, made.caption), made.y, made.drawn, made.numbers);
  figure.id = name;
  at("figures").append(figure);
  // As they are named above, whichever came first.
  for (const other of Object.keys(NAMES)) if (at(other)) at("figures").append(at(other));
  return made;
}

function draw({ figure, title, y, drawn }) {
  const { title: { text }, ...layout } = figure.layout;
  const colours = getComputedStyle(document.documentElement);
  const [ink, line] = ["--ink", "--line"].map((name) => colours.getPropertyValue(name).trim());
  // A finger that moves over a figure moves the page.
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, fixedrange: !matchMedia("(hover: hover)").matches };
  const names = lines(figure).map((arm) => arm.name);
  title.textContent = text;
  y.textContent = layout.yaxis.title.text;
  drawn.setAttribute("aria-label", `${text}: ${y.textContent} over ${layout.xaxis.title.text}, a line each for ${names.join(", ")}.`);
  // Room for a row each, until it is known how many rows they take: without room Plotly draws no legend.
  drawn.style.height = `${PLOT_PX + ROW_PX * figure.data.length}px`;
  window.Plotly.react(drawn, figure.data, {
    ...layout,
    paper_bgcolor: "rgba(0, 0, 0, 0)",
    plot_bgcolor: "rgba(0, 0, 0, 0)",
    font: { color: ink, family: colours.fontFamily, size: 12 },
    xaxis: { ...layout.xaxis, ...axis },
    // Raised powers would take a style written inline, which the page's policy does not let through.
    yaxis: { ...layout.yaxis, ...axis, title: { text: "" }, exponentformat: "e" },
    margin: { t: 8, r: 8 },
    legend: { ...layout.legend, maxheight: 10_000 },
    uirevision: "kept",
  }, { responsive: true, displayModeBar: false, showTips: false });
  // The plot keeps its height, however high the legend.
  const legend = drawn.querySelector(".legend .bg").getBoundingClientRect().height;
  drawn.style.height = `${PLOT_PX + legend}px`;
  window.Plotly.Plots.resize(drawn);
}

function tabulate({ figure, title, table }) {
  const arms = lines(figure);
  const rows = new Map();
  arms.forEach((arm, i) => arm.x.forEach((x, n) => {
    if (!rows.has(x)) rows.set(x, { heading: arm.text[n], values: arms.map(() => null) });
    rows.get(x).values[i] = arm.y[n];
  }));
  const inOrder = [...rows].sort(([one], [other]) => one - other).map(([, told]) => told);
  const head = element("tr", element("td"), ...arms.map((arm) => heading("col", arm.name)));
  const body = inOrder.map(({ heading: text, values }) => element("tr", heading("row", text), ...values.map((value) => element("td", number(value)))));
  // Focusable, so that a keyboard scrolls it.
  table.tabIndex = 0;
  table.setAttribute("role", "region");
  table.setAttribute("aria-label", title.textContent);
  table.replaceChildren(element("table", element("thead", head), element("tbody", ...body)));
}

const lines = (figure) => figure.data.filter((line) => line.mode === "lines+markers");

function heading(scope, text) {
  const made = element("th", text);
  made.scope = scope;
  return made;
}

/** Once there is something to draw: it is large. */
function plotly() {
  loading ??= new Promise((done, fail) => {
    const script = element("script");
    script.src = "/page/plotly.min.js";
    script.onload = done;
    script.onerror = () => {
      loading = null;
      fail(new Error("Plotly did not come."));
    };
    document.head.append(script);
  });
  return loading;
}
