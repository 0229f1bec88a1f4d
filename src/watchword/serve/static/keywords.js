// The keywords: a track for each, with its phonemes to correct, its threshold, and what the server says of it.

const KEPT = "watchword.keywords";

export class Keywords extends EventTarget {
  #list;
  #template;
  #timeline;
  #usual = 0.5;
  #keywords = new Map();

  constructor(list, template, timeline) {
    super();
    this.#list = list;
    this.#template = template;
    this.#timeline = timeline;
  }

  get size() {
    return this.#keywords.size;
  }

  /** What a `keywords` message says: all of them. */
  get wanted() {
    return [...this.#keywords.values()].map(({ id, text, threshold }) => ({ id, text, threshold }));
  }

  name(id) {
    return this.#keywords.get(id)?.name ?? "";
  }

  has(name) {
    return [...this.#keywords.values()].some((keyword) => keyword.name.toLowerCase() === name.toLowerCase());
  }

  setUsualThreshold(threshold) {
    this.#usual = threshold;
    for (const keyword of this.#keywords.values()) this.#showThreshold(keyword);
  }

  /** Adds the keywords of the last visit. */
  restore() {
    try {
      for (const { name, text, threshold } of JSON.parse(localStorage.getItem(KEPT)) ?? []) this.#make(name, text, threshold);
    } catch {
      // Nothing kept, or not by us.
    }
    if (this.size) this.#changed();
  }

  add(name) {
    this.#make(name, name, null);
    this.#changed();
  }

  /** Shows what the server answered to the keywords. */
  show(rows) {
    for (const row of rows) {
      const keyword = this.#keywords.get(row.id);
      if (!keyword || keyword.text !== row.text) continue;
      keyword.row = row;
      const error = keyword.element.querySelector(".error");
      error.hidden = !row.error;
      error.textContent = row.error ?? "";
      describe(keyword.element.querySelector(".said"), row);
      if (row.error) this.#edit(keyword, keyword.text);
    }
  }

  /** Shows how near each keyword has come so far. */
  showBest() {
    for (const { id, element } of this.#keywords.values()) {
      const best = this.#timeline.best(id);
      element.querySelector(".best").textContent = best > 0 ? `best ${best.toFixed(2)}` : "";
    }
  }

  #make(name, text, threshold) {
    const id = crypto.randomUUID?.() ?? String(Math.random());
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const keyword = { id, name, text, threshold, element, row: null };
    this.#keywords.set(id, keyword);
    const find = (selector) => element.querySelector(selector);
    find(".name").textContent = name;
    find(".edit").setAttribute("aria-label", `Correct how ${name} is said`);
    find(".remove").setAttribute("aria-label", `Remove ${name}`);
    find(".threshold input").setAttribute("aria-label", `Threshold of ${name}`);
    find("canvas").setAttribute("aria-label", `Score of ${name} over time`);
    find(".edit").addEventListener("click", () => this.#edit(keyword, suggestion(keyword), true));
    find(".remove").addEventListener("click", () => this.#remove(keyword));
    find(".cancel").addEventListener("click", () => this.#close(keyword));
    find(".pronunciation").addEventListener("keydown", (event) => event.key === "Escape" && this.#close(keyword));
    find(".pronunciation").addEventListener("submit", (event) => {
      event.preventDefault();
      keyword.text = find(".pronunciation input").value.trim() || keyword.name;
      this.#close(keyword);
      this.#timeline.forget(id);
      this.#changed();
    });
    const slider = find(".threshold input");
    slider.addEventListener("input", () => {
      keyword.threshold = Number(slider.value);
      this.#showThreshold(keyword);
    });
    slider.addEventListener("change", () => this.#changed());
    this.#list.append(element);
    this.#timeline.lane(id, find("canvas"), threshold ?? this.#usual);
    this.#showThreshold(keyword);
  }

  #showThreshold({ id, threshold, element }) {
    const value = threshold ?? this.#usual;
    element.querySelector(".threshold input").value = value;
    element.querySelector("output").textContent = value.toFixed(2);
    this.#timeline.setThreshold(id, value);
  }

  #edit({ element }, text, focus = false) {
    const form = element.querySelector(".pronunciation");
    form.hidden = false;
    const input = form.querySelector("input");
    input.value = text;
    if (focus) input.select();
  }

  #close({ element }) {
    element.querySelector(".pronunciation").hidden = true;
    element.querySelector(".edit").focus();
  }

  #remove({ id, element }) {
    const beside = element.nextElementSibling ?? element.previousElementSibling;
    (beside?.querySelector(".remove") ?? document.getElementById("new-keyword")).focus();
    this.#keywords.delete(id);
    this.#timeline.removeLane(id);
    element.remove();
    this.#changed();
  }

  #changed() {
    const kept = [...this.#keywords.values()].map(({ name, text, threshold }) => ({ name, text, threshold }));
    try {
      localStorage.setItem(KEPT, JSON.stringify(kept));
    } catch {
      // Private windows may keep nothing.
    }
    this.dispatchEvent(new Event("change"));
  }
}

/** Shows how a text is said, what was guessed, and what to mind; its parts may not hold markup. */
export function describe(element, { pronunciations = [], words = [], advice = "" }) {
  element.replaceChildren();
  if (!pronunciations.length) return;
  const part = (className, text) => {
    const span = document.createElement("span");
    span.className = className;
    span.textContent = text;
    element.append(span);
  };
  part("ipa", `/${words.length && !words.some(({ word }) => /[{}/]/.test(word)) && pronunciations.length ? spaced(pronunciations[0], words) : pronunciations[0].ipa}/`);
  if (pronunciations.length > 1) {
    part("more", pronunciations.length === 2 ? "  or one other way" : `  or ${pronunciations.length - 1} other ways`);
    element.lastChild.title = pronunciations.slice(1).map(({ ipa }) => `/${ipa}/`).join("  ");
  }
  if (advice) part("advice", `  ${advice}`);
}

/** The first pronunciation with gaps between words, where the words make it up. */
function spaced(first, words) {
  const sounds = first.arpabet.split(" ").length;
  let count = 0;
  const said = [];
  for (const { arpabet, ipa } of words) {
    if (count >= sounds) break;
    count += arpabet.split(" ").length;
    said.push(ipa);
  }
  return said.join(" ");
}

/** What to begin a correction with: what was given, or the pronunciations as IPA. */
function suggestion({ text, row }) {
  if (/[{}/|]/.test(text) || !row?.pronunciations?.length) return text;
  const [first, ...others] = row.pronunciations;
  return [`/${spaced(first, row.words)}/`, ...others.map(({ ipa }) => `/${ipa}/`)].join(" | ");
}
