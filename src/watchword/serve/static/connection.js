// The WebSocket: messages by type, reconnected by itself; see docs/serve.md for the protocol.

const LONGEST_WAIT = 5000;

export class Connection extends EventTarget {
  #socket = null;
  #wait = 400;
  #binary = null;

  open() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/listen`);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.addEventListener("close", (event) => {
      this.#socket = null;
      this.#tell("gone", { reason: event.reason });
      setTimeout(() => this.open(), this.#wait);
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    });
    this.#socket = socket;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(type, fields = {}) {
    if (this.isOpen) this.#socket.send(JSON.stringify({ type, ...fields }));
  }

  sendBytes(bytes) {
    if (this.isOpen) this.#socket.send(bytes);
  }

  /** Bytes that the server has not taken yet. */
  get waiting() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** The next message of a type; rejected when the server goes first. */
  next(type) {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.removeEventListener(type, found);
        this.removeEventListener("gone", lost);
      };
      const found = (event) => (done(), resolve(event.detail));
      const lost = () => (done(), reject(new Error("the server is gone")));
      this.addEventListener(type, found);
      this.addEventListener("gone", lost);
    });
  }

  #receive(data) {
    if (data instanceof ArrayBuffer) {
      const header = this.#binary;
      this.#binary = null;
      if (header) this.#tell("clip", { ...header, data });
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "hello") this.#wait = 400;
    if (message.type === "clip") this.#binary = message;
    else this.#tell(message.type, message);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
