// Sound that comes in: the microphone, and files in pieces; files the server cannot read are decoded here.

const PIECE = 1 << 18;
const MOST_WAITING = 4 * PIECE;
const DECODED_RATE = 16000;

const SENTENCES = {
  NotAllowedError: "The browser did not let this page use the microphone. Allow it beside the address, then press again.",
  NotFoundError: "No microphone is connected. Connect one, or open a recording instead.",
  NotReadableError: "Another program holds the microphone. Close it there, then press again.",
};

/** The microphone; `heard` gets ArrayBuffers of int16 samples, `lost` is called when it goes away. */
export class Microphone {
  #context = null;
  #stream = null;

  /** Begins, and returns the sample rate. Throws an Error with a sentence for people. */
  async start(heard, lost) {
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) {
      throw new Error("Browsers give the microphone only to pages of this machine: open this one under 127.0.0.1.");
    }
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      throw new Error(SENTENCES[error.name] ?? `The microphone cannot be used (${error.message}).`);
    }
    this.#context = new AudioContext();
    await this.#context.audioWorklet.addModule("/static/worklet.js");
    await this.#context.resume();
    const recorder = new AudioWorkletNode(this.#context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    recorder.port.onmessage = (event) => heard(event.data);
    this.#context.createMediaStreamSource(this.#stream).connect(recorder);
    this.#stream.getAudioTracks()[0].addEventListener("ended", lost);
    return this.#context.sampleRate;
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#context?.close();
    this.#stream = this.#context = null;
  }
}

/** Sends a file's bytes, no faster than the server takes them, until `wanted()` is false; `progress` gets 0 to 1. */
export async function sendFile(connection, file, wanted, progress) {
  for (let start = 0; start < file.size; start += PIECE) {
    const piece = await file.slice(start, start + PIECE).arrayBuffer();
    while (wanted() && connection.waiting > MOST_WAITING) await new Promise((resolve) => setTimeout(resolve, 15));
    if (!wanted()) return;
    connection.sendBytes(piece);
    progress(Math.max(0, start + piece.byteLength - connection.waiting) / file.size);
  }
}

/** What the browser can decode and the server cannot (such as m4a or webm), as a WAV file; null for what is no audio. */
export async function decoded(file) {
  let audio;
  try {
    audio = await new OfflineAudioContext(1, 1, DECODED_RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    return null;
  }
  const channels = Array.from({ length: audio.numberOfChannels }, (_, channel) => audio.getChannelData(channel));
  const bytes = 2 * audio.length;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const text = (place, letters) => [...letters].forEach((letter, i) => view.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  [[16, 16], [24, DECODED_RATE], [28, 2 * DECODED_RATE], [40, bytes]].forEach(([place, value]) => view.setUint32(place, value, true));
  [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([place, value]) => view.setUint16(place, value, true));
  text(36, "data");
  for (let i = 0; i < audio.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    const sample = Math.round((32768 * sum) / channels.length);
    view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, sample)), true);
  }
  return new File([view], file.name, { type: "audio/wav" });
}
