/**
 * A WebSocket for pages of a site on channels-classic: frames are JSON, to and from consumers or, by stream, a
 * demultiplexer. It connects again when the connection is lost, and keeps what is sent meanwhile.
 */

import ReconnectingWebSocket from "partysocket/ws";

/** How many frames wait for a connection at the most; what is sent beyond that is dropped. */
const MAX_WAITING_FRAMES = 1000;

/** How many characters of frames wait for a connection at the most. */
const MAX_WAITING_SIZE = 1024 * 1024;

/**
 * Pauses between tries to connect: about a second, growing by half with each try, up to 15 to 30 seconds. The random
 * part keeps all the pages that lost a server from coming back at the same moment.
 */
function pauses() {
  return {
    minReconnectionDelay: 500 + Math.random() * 1000,
    reconnectionDelayGrowFactor: 1.5,
    maxReconnectionDelay: 15000 + Math.random() * 15000,
  };
}

export class WebSocketBridge {
  /**
   * @param {object} [options] for every `connect`, whose own options come first.
   */
  constructor(options) {
    this.options = { ...options };
    this.socket = null;
    this.default_cb = null;
    this.streams = new Map();
    this._waiting = 0;
  }

  /**
   * Opens the socket, and opens it again whenever it is lost, until `socket.close()` is called.
   *
   * @param {string} [url] a path of this site, or a whole URL; by default the root of this site.
   * @param {string | string[]} [protocols] subprotocols that the page speaks.
   * @param {object} [options] of partysocket's WebSocket, such as `maxRetries` or `maxEnqueuedMessages`.
   */
  connect(url, protocols, options) {
    if (this.socket !== null) {
      this.socket.close();
    }
    this._settings = {
      maxEnqueuedMessages: MAX_WAITING_FRAMES,
      ...pauses(),
      ...this.options,
      ...options,
    };
    this._waiting = 0;
    this.socket = new ReconnectingWebSocket(absoluteUrl(url), protocols, this._settings);
    this.socket.addEventListener("open", () => {
      this._waiting = 0;
    });
    this.socket.addEventListener("message", (event) => this._receive(event.data));
  }

  /**
   * @param {(payload: any, stream: string | null) => void} [callback] gets what is sent to no stream.
   */
  listen(callback) {
    this.default_cb = callback;
  }

  /**
   * @param {string} stream
   * @param {(payload: any, stream: string) => void} callback gets what is sent to this stream.
   */
  demultiplex(stream, callback) {
    this.streams.set(stream, callback);
  }

  /**
   * Sends a message now, or when the socket is open.
   *
   * @param {any} message what JSON can say.
   * @returns {boolean} whether it was sent or waits; `false` if too much waits already.
   */
  send(message) {
    if (this.socket === null) {
      throw new Error("WebSocketBridge: call connect() before send().");
    }
    const frame = JSON.stringify(message);
    if (this.socket.readyState !== ReconnectingWebSocket.OPEN && !this._hasRoom(frame)) {
      console.warn("WebSocketBridge: a message was dropped, because too much waits for a connection already.");
      return false;
    }
    if (!this.socket.send(frame)) {
      this._waiting += 1;
    }
    return true;
  }

  /**
   * @param {string} name
   * @returns {{send: (payload: any) => boolean}} what sends to one stream.
   */
  stream(name) {
    return { send: (payload) => this.send({ stream: name, payload }) };
  }

  _hasRoom(frame) {
    const fewEnough = this._waiting < this._settings.maxEnqueuedMessages;
    return fewEnough && this.socket.bufferedAmount + frame.length <= MAX_WAITING_SIZE;
  }

  _receive(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch (error) {
      console.error("WebSocketBridge: a frame was ignored, because it is not JSON.", error);
      return;
    }
    if (message?.stream === undefined) {
      this.default_cb?.(message, null);
    } else {
      this.streams.get(message.stream)?.(message.payload, message.stream);
    }
  }
}

function absoluteUrl(url = "/") {
  if (!url.startsWith("/")) {
    return url;
  }
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${window.location.host}${url}`;
}
