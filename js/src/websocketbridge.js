/**
 * A WebSocket for pages of a site on channels-classic. Its frames are JSON, for consumers or the streams of a
 * demultiplexer. It reconnects when the connection is lost, and keeps messages that are sent meanwhile.
 */

import ReconnectingWebSocket from "partysocket/ws";

/** The most frames that wait for a connection. More frames are dropped. */
const MAX_WAITING_FRAMES = 1000;

/** The most characters of frames that wait for a connection. */
const MAX_WAITING_SIZE = 1024 * 1024;

/**
 * Pauses between attempts to connect: about a second at first, growing by half with each attempt, up to 15 to 30
 * seconds. The random part keeps pages that have lost a server from coming back at the same moment.
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
   * @param {object} [options] options for every `connect`. Options of `connect` itself take precedence.
   */
  constructor(options) {
    this.options = { ...options };
    this.socket = null;
    this.default_cb = null;
    this.streams = new Map();
    this._waiting = 0;
  }

  /**
   * Opens the socket, and reconnects whenever the connection is lost, until `socket.close()` is called.
   *
   * @param {string} [url] a path of this site, or a whole URL. The default is the root of this site.
   * @param {string | string[]} [protocols] subprotocols that the page speaks.
   * @param {object} [options] options of partysocket's WebSocket, such as `maxRetries` or `maxEnqueuedMessages`.
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
   * @param {(payload: any, stream: string | null) => void} [callback] called with messages without a stream.
   */
  listen(callback) {
    this.default_cb = callback;
  }

  /**
   * @param {string} stream
   * @param {(payload: any, stream: string) => void} callback called with messages to this stream.
   */
  demultiplex(stream, callback) {
    this.streams.set(stream, callback);
  }

  /**
   * Sends a message now, or when the socket is open.
   *
   * @param {any} message any JSON value.
   * @returns {boolean} whether it was sent or waits. `false` if too much waits already, and it was dropped.
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
   * @returns {{send: (payload: any) => boolean}} an object that sends to one stream.
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
