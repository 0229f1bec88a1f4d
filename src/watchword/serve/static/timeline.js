// Time from left to right: the log-mel picture and one score line a keyword, drawn on canvases with the page's colours.

const BINS = 40;
const LIVE_SECONDS = 12;
const KEPT_SECONDS = 30;
const LANE_LOW = -0.05;
const LANE_HIGH = 1;
const AXIS = 20;

export class Timeline {
  #mel;
  #picture = document.createElement("canvas");
  #columns = new Map();
  #columnSeconds = 0.02;
  #total = 0; // seconds of a file; 0 while live
  #heard = 0;
  #end = LIVE_SECONDS;
  #lanes = new Map();
  #colours = {};
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  #asked = false;

  constructor(mel) {
    this.#mel = mel;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#readColours());
    this.#readColours();
    this.#watch(mel);
  }

  /** Begins a recording: a file of so many seconds, or 0 for what has no end yet. */
  begin({ seconds = 0, column_seconds: columnSeconds }) {
    this.#columns.clear();
    this.#columnSeconds = columnSeconds;
    this.#total = seconds;
    this.#heard = 0;
    this.#end = this.#view;
    for (const lane of this.#lanes.values()) Object.assign(lane, { times: [], values: [], spans: [], best: -1 });
    this.draw();
  }

  lane(id, canvas, threshold) {
    this.#lanes.set(id, { canvas, threshold, times: [], values: [], spans: [], best: -1 });
    this.#watch(canvas);
    this.draw();
  }

  removeLane(id) {
    this.#lanes.delete(id);
  }

  forget(id) {
    const lane = this.#lanes.get(id);
    if (lane) Object.assign(lane, { times: [], values: [], spans: [], best: -1 });
    this.draw();
  }

  setThreshold(id, threshold) {
    this.#lanes.get(id).threshold = threshold;
    this.draw();
  }

  best(id) {
    return this.#lanes.get(id)?.best ?? -1;
  }

  /** Takes what a `heard` message tells. */
  add({ seconds, log_mel: logMel, scores }) {
    this.#heard = seconds;
    const bytes = Uint8Array.from(atob(logMel.columns), (letter) => letter.charCodeAt(0));
    for (let i = 0; i * BINS < bytes.length; i++) this.#columns.set(logMel.first + i, bytes.subarray(i * BINS, (i + 1) * BINS));
    for (const [id, values] of Object.entries(scores.values)) {
      const lane = this.#lanes.get(id);
      if (!lane) continue;
      values.forEach((value, i) => {
        lane.times.push(scores.times[i]);
        lane.values.push(value ?? -1); // null: nothing like it ended there
        lane.best = Math.max(lane.best, value ?? -1);
      });
    }
    if (!this.#total) this.#prune();
    this.draw();
  }

  span(id, start, end) {
    this.#lanes.get(id)?.spans.push([start, end]);
    this.draw();
  }

  draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#move();
      this.#drawMel();
      for (const lane of this.#lanes.values()) this.#drawLane(lane);
    });
  }

  get #view() {
    return this.#total || (this.#mel.clientWidth < 480 ? LIVE_SECONDS / 2 : LIVE_SECONDS);
  }

  /** Follows live sound: gliding, or page by page where motion is not wanted. */
  #move() {
    if (this.#total) return void (this.#end = this.#total);
    const wanted = this.#still.matches
      ? this.#view * Math.max(1, Math.ceil(this.#heard / this.#view))
      : Math.max(this.#view, this.#heard);
    const gap = wanted - this.#end;
    this.#end = this.#still.matches || gap < 0.004 || gap > this.#view ? wanted : this.#end + 0.18 * gap;
    if (this.#end < wanted) this.draw();
  }

  #prune() {
    const oldest = this.#heard - KEPT_SECONDS;
    for (const index of this.#columns.keys()) {
      if (index * this.#columnSeconds >= oldest) break;
      this.#columns.delete(index);
    }
    for (const lane of this.#lanes.values()) {
      const first = lane.times.findIndex((time) => time >= oldest);
      if (first > 500) {
        lane.times.splice(0, first);
        lane.values.splice(0, first);
      }
      lane.spans = lane.spans.filter(([, end]) => end >= oldest);
    }
  }

  #prepared(canvas) {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const start = this.#end - this.#view;
    return { pen, width, height, start, x: (time) => ((time - start) / this.#view) * width };
  }

  #drawMel() {
    const { pen, width, height, start, x } = this.#prepared(this.#mel);
    if (!width) return;
    const first = Math.floor(start / this.#columnSeconds);
    const count = Math.ceil(this.#view / this.#columnSeconds) + 1;
    if (this.#columns.size) {
      const image = new ImageData(count, BINS);
      const pixels = new Uint32Array(image.data.buffer);
      for (let i = 0; i < count; i++) {
        const column = this.#columns.get(first + i);
        if (!column) continue;
        for (let bin = 0; bin < BINS; bin++) pixels[(BINS - 1 - bin) * count + i] = this.#colours.map[column[bin]];
      }
      Object.assign(this.#picture, { width: count, height: BINS });
      this.#picture.getContext("2d").putImageData(image, 0, 0);
      const left = x(first * this.#columnSeconds);
      pen.drawImage(this.#picture, left, 0, x((first + count) * this.#columnSeconds) - left, height - AXIS);
    }
    pen.fillStyle = this.#colours.muted;
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    for (const [time, label] of this.#ticks(width)) {
      pen.fillRect(x(time), height - AXIS, 1, 4);
      pen.fillText(label, Math.min(x(time) + 4, width - pen.measureText(label).width - 2), height - 6);
    }
  }

  #drawLane({ canvas, threshold, times, values, spans }) {
    const { pen, width, height, start, x } = this.#prepared(canvas);
    if (!width) return;
    const y = (score) => height - 4 - ((Math.max(LANE_LOW, score) - LANE_LOW) / (LANE_HIGH - LANE_LOW)) * (height - 10);
    pen.fillStyle = this.#colours.line;
    for (const [time] of this.#ticks(width)) pen.fillRect(x(time), 0, 1, height);
    for (const [from, to] of spans) {
      pen.fillStyle = this.#colours.found;
      pen.globalAlpha = 0.18;
      pen.fillRect(x(from), 0, Math.max(2, x(to) - x(from)), height);
      pen.globalAlpha = 1;
      pen.fillRect(x(from), height - 3, Math.max(2, x(to) - x(from)), 3);
    }
    pen.strokeStyle = this.#colours.found;
    pen.setLineDash([4, 4]);
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(0, Math.round(y(threshold)) + 0.5);
    pen.lineTo(width, Math.round(y(threshold)) + 0.5);
    pen.stroke();
    pen.setLineDash([]);
    let from = times.findIndex((time) => time >= start);
    if (from < 0) return;
    from = Math.max(0, from - 1);
    pen.beginPath();
    for (let i = from; i < times.length; i++) pen.lineTo(x(times[i]), y(values[i]));
    pen.strokeStyle = this.#colours.accent;
    pen.lineWidth = 1.75;
    pen.lineJoin = "round";
    pen.stroke();
    pen.lineTo(x(times.at(-1)), height);
    pen.lineTo(x(times[from]), height);
    pen.fillStyle = this.#colours.accent;
    pen.globalAlpha = 0.1;
    pen.fill();
    pen.globalAlpha = 1;
  }

  /** Times worth a mark, some 90 pixels apart, with their names. */
  #ticks(width) {
    const rough = (this.#view * 90) / width;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((size) => size >= rough) ?? 7200;
    const start = this.#end - this.#view;
    const ticks = [];
    for (let time = Math.ceil(start / step) * step; time < this.#end; time += step) {
      ticks.push([time, step < 1 ? `${time.toFixed(1)} s` : clock(time)]);
    }
    return ticks;
  }

  #watch(canvas) {
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    for (const name of ["accent", "found", "line", "muted"]) this.#colours[name] = colour(name);
    const stops = ["mel-low", "mel-middle", "mel-high"].map((name) => channels(colour(name)));
    this.#colours.map = Uint32Array.from({ length: 256 }, (_, value) => {
      const place = value / 127.5;
      const [from, to] = place < 1 ? [stops[0], stops[1]] : [stops[1], stops[2]];
      const [r, g, b] = from.map((part, i) => Math.round(part + (to[i] - part) * (place < 1 ? place : place - 1)));
      return (255 << 24) | (b << 16) | (g << 8) | r;
    });
    this.draw();
  }
}

/** Minutes and seconds, hours where there are any. */
export function clock(seconds, digits = 0) {
  const scale = 10 ** digits;
  const whole = Math.round(seconds * scale) / scale;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function channels(hex) {
  return [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
}
