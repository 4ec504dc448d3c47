// The types of the ES module, and of the plain script, which defines `channels`. They need no other package.

export as namespace channels;

/** Options of the socket: those of partysocket's `WebSocket`. Times are in milliseconds. */
export interface Options {
  /** The shortest pause before it reconnects. */
  minReconnectionDelay?: number;
  /** The longest pause. */
  maxReconnectionDelay?: number;
  /** The factor by which each pause is longer than the one before. */
  reconnectionDelayGrowFactor?: number;
  /** The time after which a connection counts as stable, so that pauses start again with the shortest. */
  minUptime?: number;
  /** The time limit of an attempt to connect. */
  connectionTimeout?: number;
  /** The most attempts to connect in a row. */
  maxRetries?: number;
  /** The most messages that wait for a connection. */
  maxEnqueuedMessages?: number;
  /** Whether it connects only when `socket.reconnect()` is called. */
  startClosed?: boolean;
  /** Whether it reconnects after this close. By default it always does. */
  shouldReconnectOnClose?: (event: CloseEvent) => boolean;
  /** The class to use instead of the browser's `WebSocket`. */
  WebSocket?: any;
  /** Whether it logs what it does. */
  debug?: boolean;
  /** The function that logs. The default is the console. */
  debugLogger?: (...args: any[]) => void;
}

/** The event `error`: an attempt to connect failed, or the connection was lost. */
export interface SocketErrorEvent extends Event {
  readonly message: string;
  readonly error: Error;
}

/** The events of a socket. */
export interface SocketEventMap {
  open: Event;
  message: MessageEvent;
  close: CloseEvent;
  error: SocketErrorEvent;
}

/** A socket like the browser's `WebSocket` that reconnects by itself. */
export interface Socket extends EventTarget {
  addEventListener<Type extends keyof SocketEventMap>(
    type: Type,
    listener: (event: SocketEventMap[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof SocketEventMap>(
    type: Type,
    listener: (event: SocketEventMap[Type]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onerror: ((event: SocketErrorEvent) => void) | null;
  binaryType: BinaryType;
  readonly url: string;
  readonly protocol: string;
  readonly extensions: string;
  /** One of `CONNECTING`, `OPEN`, `CLOSING` and `CLOSED`. */
  readonly readyState: number;
  readonly CONNECTING: number;
  readonly OPEN: number;
  readonly CLOSING: number;
  readonly CLOSED: number;
  /** The number of bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** The number of attempts to reconnect since it was open. */
  readonly retryCount: number;
  /** Whether it reconnects when the connection is lost. */
  readonly shouldReconnect: boolean;
  /** Sends a frame now, or when the socket is open. Returns `true` if it was sent now. */
  send(data: string | ArrayBuffer | Blob | ArrayBufferView<ArrayBuffer>): boolean;
  /** Closes it for good. */
  close(code?: number, reason?: string): void;
  /** Closes it and reconnects at once. */
  reconnect(code?: number, reason?: string): void;
}

/** Called with a message and the stream that it was sent to. */
export type Callback<Stream = string | null> = (payload: any, stream: Stream) => void;

/** A WebSocket with JSON frames that reconnects when the connection is lost. */
export declare class WebSocketBridge {
  /** @param options options for every `connect`. Options of `connect` itself take precedence. */
  constructor(options?: Options);

  /** The socket; `null` before `connect`. To close it, call `socket.close()`. */
  socket: Socket | null;

  /**
   * Opens the socket, and reconnects whenever the connection is lost.
   *
   * @param url a path of this site, or a whole URL. The default is the root of this site.
   * @param protocols subprotocols that the page speaks.
   */
  connect(url?: string, protocols?: string | string[], options?: Options): void;

  /** Calls a function with messages without a stream. */
  listen(callback?: Callback): void;

  /** Calls a function with messages to one stream. */
  demultiplex(stream: string, callback: Callback<string>): void;

  /** Sends a message now, or when the socket is open. `false` if too much waits already, and it was dropped. */
  send(message: unknown): boolean;

  /** An object that sends to one stream. */
  stream(name: string): { send(payload: unknown): boolean };
}
