// What was heard: a list with times and scores, each playable, and told to screen readers.

import { clock } from "/static/timeline.js";

const MOST_ROWS = 500;
const MARGIN = 0.15;
const QUIET = 900;

export class Detections {
  #list;
  #template;
  #connection;
  #announcer;
  #count = 0;
  #rows = new Map();
  #untold = [];
  #playing = null;
  #live = false;

  constructor(list, template, connection, announcer) {
    this.#list = list;
    this.#template = template;
    this.#connection = connection;
    this.#announcer = announcer;
    connection.addEventListener("clip", ({ detail }) => this.#arrived(detail));
  }

  /** Begins a recording. What is live stands newest first, and its sound is kept here, since the server soon drops it. */
  begin(live) {
    this.#silence();
    for (const row of this.#rows.values()) if (row.url) URL.revokeObjectURL(row.url);
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#count = 0;
    this.#live = live;
    this.#show();
  }

  add({ number, start, end, score, threshold, phonemes }, name) {
    this.#count++;
    this.#untold.push(`${name}, at ${start.toFixed(1)} seconds, score ${score.toFixed(2)}`);
    if (this.#untold.length === 1) setTimeout(() => this.#announce(), QUIET);
    this.#show();
    if (this.#count > MOST_ROWS) return;
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const find = (selector) => element.querySelector(selector);
    find(".when").textContent = clock(start, 2);
    find(".what").textContent = name;
    find(".score").textContent = score.toFixed(2);
    find(".bar span").style.transform = `scaleX(${Math.max(0, Math.min(1, score))})`;
    find(".phonemes").replaceChildren(...phonemes.map(fitted));
    element.title = `${start.toFixed(2)} to ${end.toFixed(2)} s, threshold ${threshold.toFixed(2)}`;
    const button = find(".play");
    button.setAttribute("aria-label", `Play ${name} at ${clock(start, 1)}`);
    const row = { id: String(number), start, end, button, url: "", play: false };
    button.addEventListener("click", () => this.#press(row));
    this.#rows.set(row.id, row);
    if (this.#live) {
      this.#list.prepend(element);
      this.#fetch(row);
    } else this.#list.append(element);
  }

  #show() {
    document.getElementById("nothing").hidden = this.#count > 0;
    const over = this.#count > MOST_ROWS ? `, the first ${MOST_ROWS} shown` : "";
    document.getElementById("count").textContent = this.#count ? `${this.#count} found${over}` : "";
  }

  #announce() {
    const untold = this.#untold;
    this.#untold = [];
    this.#announcer.textContent = untold.length > 3 ? `${untold.length} found` : `Heard ${untold.join("; ")}`;
  }

  #fetch({ id, start, end }) {
    this.#connection.send("clip", { id, start: Math.max(0, start - MARGIN), end: Math.min(end + MARGIN, start + 29) });
  }

  #arrived({ id, data }) {
    const row = this.#rows.get(id);
    if (!row) return;
    row.url = URL.createObjectURL(new Blob([data], { type: "audio/wav" }));
    if (row.play) this.#play(row);
  }

  #press(row) {
    if (this.#playing?.row === row) return this.#silence();
    if (row.url) return this.#play(row);
    row.play = true;
    this.#fetch(row);
  }

  #play(row) {
    this.#silence();
    row.play = false;
    const audio = new Audio(row.url);
    this.#playing = { row, audio };
    row.button.setAttribute("aria-pressed", "true");
    audio.addEventListener("ended", () => this.#playing?.row === row && this.#silence());
    audio.play().catch(() => this.#silence());
  }

  #silence() {
    this.#playing?.audio.pause();
    this.#playing?.row.button.setAttribute("aria-pressed", "false");
    this.#playing = null;
  }
}

/** A phoneme, the stronger the better it fits where it was heard. */
function fitted([phoneme, start, end, fit]) {
  const element = document.createElement("span");
  element.textContent = phoneme.replace(/\d/, "");
  element.title = `${phoneme} from ${start.toFixed(2)} to ${end.toFixed(2)} s, fits ${Math.round(100 * Math.max(0, fit))} %`;
  element.style.setProperty("--fit", Math.max(0, Math.min(1, fit)));
  return element;
}
