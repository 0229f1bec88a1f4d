// The page: what is typed, pressed and dropped goes to the server; what it answers is shown.

import { Connection } from "/static/connection.js";
import { Detections } from "/static/detections.js";
import { describe, Keywords } from "/static/keywords.js";
import { decoded, Microphone, sendFile } from "/static/sound.js";
import { clock, Timeline } from "/static/timeline.js";

const SUGGESTIONS = ["hey computer", "front door", "good morning"];
const TYPING_PAUSE = 180;
const find = (id) => document.getElementById(id);

const connection = new Connection();
const timeline = new Timeline(find("mel"));
const keywords = new Keywords(find("keywords"), find("keyword-template"), timeline);
const detections = new Detections(find("detections"), find("detection-template"), connection, find("announcer"));
const microphone = new Microphone();

// What is listened to: "none", "starting", "live", "receiving", "searching", "ended" (a file that can be searched again).
let source = "none";
let file = null;
let fileSeconds = 1;
let again = false;

function become(next) {
  source = next;
  const live = source === "live" || source === "starting";
  find("microphone").setAttribute("aria-pressed", String(live));
  find("microphone-text").textContent = live ? "Stop listening" : "Use the microphone";
  find("progress").hidden = source !== "receiving" && source !== "searching";
  document.body.setAttribute("aria-busy", String(source === "receiving"));
}

function complain(sentence) {
  find("source-error").textContent = sentence;
  find("source-error").hidden = !sentence;
}

/** A server's message for people, who see where it belongs: "text: no closing brace" as "No closing brace." */
const asSentence = (text) => {
  const said = text.replace(/^(text|phonemes|start|file|keywords|busy): /, "");
  return said.charAt(0).toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : ".");
};

// ---- the server
connection.addEventListener("hello", ({ detail }) => {
  find("connection").dataset.state = "open";
  find("connection").textContent = `Watchword ${detail.watchword}`;
  find("banner").hidden = true;
  keywords.setUsualThreshold(detail.threshold);
  connection.send("keywords", { keywords: keywords.wanted });
});
connection.addEventListener("gone", ({ detail }) => {
  find("connection").dataset.state = "gone";
  find("connection").textContent = "Not connected";
  find("banner").textContent = detail.reason
    ? asSentence(detail.reason)
    : "The server is gone. Start watchword serve again; this page then goes on by itself.";
  find("banner").hidden = false;
  if (source !== "none") {
    microphone.stop();
    find("source").textContent = "";
    become("none");
  }
});
connection.addEventListener("error", ({ detail }) => complain(asSentence(detail.message)));
connection.addEventListener("keywords", ({ detail }) => {
  keywords.show(detail.keywords.map((row) => (row.error ? { ...row, error: asSentence(row.error) } : row)));
});

// ---- what to listen for
let pause = 0;
find("new-keyword").addEventListener("input", () => {
  clearTimeout(pause);
  const text = find("new-keyword").value.trim();
  find("new-keyword").removeAttribute("aria-invalid");
  if (!text) return void find("new-said").replaceChildren();
  pause = setTimeout(() => connection.send("pronounce", { id: "new", text }), TYPING_PAUSE);
});
connection.addEventListener("pronounced", ({ detail }) => {
  if (detail.text !== find("new-keyword").value.trim()) return;
  showNew(detail);
  if (adding === detail.text && !detail.error) add(detail.text);
  adding = "";
});

let adding = "";
find("add").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(pause);
  const text = find("new-keyword").value.trim();
  if (!text) return void showNew({ error: "type a word or a phrase first" });
  if (keywords.has(text)) return void showNew({ error: `${text} is there already` });
  if (!connection.isOpen) return;
  adding = text; // once the server has said that it can be spoken
  connection.send("pronounce", { id: "new", text });
});

function showNew(said) {
  const element = find("new-said");
  element.className = said.error ? "said error" : "said";
  if (said.error) element.textContent = asSentence(said.error);
  else describe(element, said);
  if (said.error) find("new-keyword").setAttribute("aria-invalid", "true");
}

function add(text) {
  keywords.add(text);
  find("new-keyword").value = "";
  find("new-said").replaceChildren();
  find("announcer").textContent = `${text} is listened for`;
}

for (const text of SUGGESTIONS) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  button.addEventListener("click", () => (add(text), find("new-keyword").focus()));
  find("suggestions").append(button);
}

keywords.addEventListener("change", () => {
  showWhetherEmpty();
  connection.send("keywords", { keywords: keywords.wanted });
  searchAgain();
});

// ---- the microphone
find("microphone").addEventListener("click", async () => {
  if (source === "live" || source === "starting") return stopListening();
  complain("");
  await endFile();
  become("starting");
  const early = [];
  try {
    const rate = await microphone.start(
      (samples) => (source === "live" ? connection.sendBytes(samples) : early.push(samples)),
      () => (stopListening(), complain("The microphone went away.")),
    );
    connection.send("start", { sample_rate: rate });
    await either("started", "error");
    if (source !== "starting") return;
    early.splice(0).forEach((samples) => connection.sendBytes(samples));
    become("live");
    find("source").textContent = "Listening";
  } catch (error) {
    microphone.stop();
    if (error.message) complain(error.message);
    find("source").textContent = "";
    become("none");
  }
});

function stopListening() {
  microphone.stop();
  if (source === "live") connection.send("stop");
  find("source").textContent = "";
  become("none");
}

/** The first of two kinds of message; throws an Error without words for the second, which is shown already. */
function either(good, bad) {
  return Promise.race([connection.next(good), connection.next(bad).then(() => { throw new Error(""); })]);
}

// ---- recordings
find("file").addEventListener("change", () => {
  const [chosen] = find("file").files;
  if (chosen) openFile(chosen);
  find("file").value = "";
});
let depth = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => carriesFiles(event) && ++depth && document.body.classList.add("dropping"));
addEventListener("dragleave", (event) => carriesFiles(event) && --depth === 0 && document.body.classList.remove("dropping"));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dropping");
  const [dropped, more] = event.dataTransfer?.files ?? [];
  if (dropped) openFile(dropped, more ? "Only the first of the files is searched." : "");
});

async function openFile(chosen, remark = "") {
  if (!connection.isOpen) return;
  if (source === "live" || source === "starting") stopListening();
  await endFile();
  complain(remark);
  if (!chosen.size) return complain(`${chosen.name} is empty.`);
  file = chosen;
  if (await search(chosen)) return;
  // The server cannot read it; perhaps the browser can.
  const converted = file === chosen && (await decoded(chosen));
  if (!converted || file !== chosen) return;
  complain(remark);
  await search(converted);
}

/** Sends a file and waits for its search to begin; false where the server cannot read it. */
async function search(chosen) {
  become("receiving");
  find("source").textContent = chosen.name;
  find("progress").value = 0;
  connection.send("file", { name: chosen.name.slice(-300), bytes: chosen.size });
  try {
    await either("receiving", "error");
    const begun = either("started", "error").then(() => true, () => false);
    await sendFile(connection, chosen, () => source === "receiving" && connection.isOpen, (part) => (find("progress").value = part));
    return await begun;
  } catch {
    become("none");
    return false;
  }
}

async function endFile() {
  if (source !== "receiving" && source !== "searching") return;
  again = false;
  const stopped = connection.next("stopped").catch(() => null);
  connection.send("stop");
  await stopped;
}

async function searchAgain() {
  if (source === "searching") {
    again = true;
    connection.send("stop");
  } else if (source === "ended") {
    connection.send("again");
    become("searching");
  }
}

// ---- what the server heard
connection.addEventListener("started", ({ detail }) => {
  const live = detail.source === "audio";
  if (!live) {
    become("searching");
    fileSeconds = Math.max(detail.seconds, 0.1);
    find("progress").value = 0;
  }
  find("silent").hidden = true;
  timeline.begin(detail);
  detections.begin(live);
  keywords.showBest();
});
connection.addEventListener("heard", ({ detail }) => {
  timeline.add(detail);
  keywords.showBest();
  find("clock").textContent = clock(detail.seconds, 1);
  showLevel(detail.level_db);
  if (source === "searching") find("progress").value = detail.seconds / fileSeconds;
});
connection.addEventListener("detection", ({ detail }) => {
  timeline.span(detail.id, detail.start, detail.end);
  detections.add(detail, keywords.name(detail.id) || detail.text);
});
connection.addEventListener("stopped", ({ detail }) => {
  showLevel(null);
  if (source !== "searching" && source !== "receiving") return;
  become(detail.reason === "error" ? "none" : "ended");
  if (source === "none") find("source").textContent = "";
  if (again) {
    again = false;
    searchAgain();
  }
});

function showLevel(decibel) {
  const shown = decibel === null || decibel <= -60 ? -60 : Math.min(0, decibel);
  const level = find("level");
  level.firstElementChild.style.transform = `scaleX(${(60 + shown) / 60})`;
  level.dataset.loud = String(shown > -3);
  level.setAttribute("aria-valuenow", String(Math.round(shown)));
  level.setAttribute("aria-valuetext", shown === -60 ? "silence" : `${Math.round(shown)} decibels`);
  find("decibel").textContent = shown === -60 ? "" : `${Math.round(shown)} dB`;
}

function showWhetherEmpty() {
  find("no-keywords").hidden = keywords.size > 0;
  find("legend").hidden = keywords.size === 0;
}

keywords.restore();
showWhetherEmpty();
connection.open();
