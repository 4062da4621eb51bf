// The page's elements, and the line in which it says how things are. What comes from the lab becomes text, never HTML.

const AWAY = "The lab does not answer.";

export const at = (id) => document.getElementById(id);
export const say = (sentence) => { at("said").textContent = sentence; };
export const away = () => say(AWAY);
export const back = () => { if (at("said").textContent === AWAY) say(""); };

export const number = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));

/** `children` are elements, or text. */
export function element(kind, ...children) {
  const made = document.createElement(kind);
  made.append(...children);
  return made;
}

/** A name that somebody gave: whichever way it is written, what stands beside it does not turn. */
export const named = (text) => element("bdi", text);

/** Cells as [column, ...content], the first of which heads the row. Roles and columns are said once more, for on a narrow
 *  page a row is no row but lines, each with its column before it. */
export function row(...cells) {
  const made = element("tr", ...cells.map(([column, ...content], i) => {
    const cell = element(i ? "td" : "th", ...content);
    cell.setAttribute("role", i ? "cell" : "rowheader");
    cell.dataset.column = column;
    return cell;
  }));
  made.setAttribute("role", "row");
  return made;
}
