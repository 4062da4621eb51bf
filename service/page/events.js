// An experiment's events as they happen. EventSource cannot send a token, so the stream is read as any other answer.

import { ask, Forgotten, Refused } from "/page/access.js";

const PAUSE_MS = 2000;

/** How it stands, then what happens, up to its end: {name, data}. Where there is no stream for a while, `lost` now and then. */
export async function* events(experiment, signal) {
  let last = "now";
  while (!signal.aborted) {
    try {
      const answer = await ask(`/v1/experiments/${experiment}/events`, { headers: { "Last-Event-ID": last }, signal });
      if (answer.status === 204) return;
      for await (const event of told(answer.body)) {
        last = event.id;
        yield { name: event.event, data: JSON.parse(event.data) };
        if (event.event === "end") return;
      }
    } catch (error) {
      // No place for one more stream, or no lab for a while: it is tried again.
      if (signal.aborted) return;
      if (error instanceof Forgotten || (error instanceof Refused && error.status < 500)) throw error;
      yield { name: "lost" };
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

async function* told(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const whole = (text + value).split("\n\n");
      text = whole.pop();
      for (const block of whole) {
        const lines = block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]);
        const event = Object.fromEntries(lines);
        if (event.event) yield event;
      }
    }
  } finally {
    // Whoever reads no further leaves its place to others.
    reader.cancel().catch(() => {});
  }
}
