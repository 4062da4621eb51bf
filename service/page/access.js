// Asks the lab, with a token where it wants one. The token is kept for this tab alone, goes into a header and nowhere
// else, and is forgotten on request.

const KEY = "actlab-token";
const TOKEN = /^actlab_[A-Za-z0-9_-]{43}[0-9a-f]{8}$/;

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `The lab answered with status ${status}.`);
    this.status = status;
    this.fields = problem.errors || [];
  }
}

/** The token with which this was asked is not the one that is kept now: its answer is nobody's business any more. */
export class Forgotten extends Error {}

export const hasToken = () => sessionStorage.getItem(KEY) !== null;
export const forget = () => sessionStorage.removeItem(KEY);
export const isToken = (text) => TOKEN.test(text);
export const keep = (text) => sessionStorage.setItem(KEY, text);

/** The answer, 2xx or 304. Throws Refused for any other, Forgotten, and what fetch throws where no lab answers. */
export async function ask(path, { headers = {}, ...options } = {}) {
  const token = sessionStorage.getItem(KEY);
  const sent = token === null ? headers : { ...headers, Authorization: `Bearer ${token}` };
  const answer = await fetch(path, { ...options, headers: sent, cache: "no-store", credentials: "omit", redirect: "error" });
  if (sessionStorage.getItem(KEY) !== token) throw new Forgotten();
  if (answer.ok || answer.status === 304) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

export async function json(path, options) {
  const token = sessionStorage.getItem(KEY);
  const data = await (await ask(path, options)).json();
  if (sessionStorage.getItem(KEY) !== token) throw new Forgotten();
  return data;
}

/** Saves the answer as a file: a link could not carry the token. */
export async function save(path, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await ask(path)).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
