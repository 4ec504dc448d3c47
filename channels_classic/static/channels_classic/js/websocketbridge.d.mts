// The types of the ES module, and of the plain script, which defines `channels`. They need no other package.

export as namespace channels;

/** Options of the socket: those of partysocket's `WebSocket`. Times are in milliseconds. */
export interface Options {
  /** The shortest pause before it connects again. */
  minReconnectionDelay?: number;
  /** The longest pause. */
  maxReconnectionDelay?: number;
  /** By how much each pause is longer than the one before. */
  reconnectionDelayGrowFactor?: number;
  /** How long a connection has to last for the pauses to begin anew. */
  minUptime?: number;
  /** How long a try to connect may take. */
  connectionTimeout?: number;
  /** How often it tries to connect, one after the other. */
  maxRetries?: number;
  /** How many messages wait for a connection. */
  maxEnqueuedMessages?: number;
  /** Whether it connects only by `socket.reconnect()`. */
  startClosed?: boolean;
  /** Whether it connects again after this close; by default it always does. */
  shouldReconnectOnClose?: (event: CloseEvent) => boolean;
  /** The class to use instead of the browser's `WebSocket`. */
  WebSocket?: any;
  /** Whether it says what it does. */
  debug?: boolean;
  /** Where it says it; by default in the console. */
  debugLogger?: (...args: any[]) => void;
}

/** The event `error`: a try to connect failed, or the connection was lost. */
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

/** A socket like the browser's `WebSocket`, which connects again by itself. */
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
  /** How many bytes wait to be sent. */
  readonly bufferedAmount: number;
  /** How often it has tried to connect again since it was open. */
  readonly retryCount: number;
  /** Whether it connects again when the connection is lost. */
  readonly shouldReconnect: boolean;
  /** Sends a frame now, or when the socket is open; `true` if it was sent now. */
  send(data: string | ArrayBuffer | Blob | ArrayBufferView<ArrayBuffer>): boolean;
  /** Closes it for good. */
  close(code?: number, reason?: string): void;
  /** Closes it and connects again at once. */
  reconnect(code?: number, reason?: string): void;
}

/** Gets a message, and the stream that it was sent to. */
export type Callback<Stream = string | null> = (payload: any, stream: Stream) => void;

/** A WebSocket that connects again when it is lost, and whose frames are JSON. */
export declare class WebSocketBridge {
  /** @param options for every `connect`, whose own options come first. */
  constructor(options?: Options);

  /** The socket; `null` before `connect`. Close it by `socket.close()`. */
  socket: Socket | null;

  /**
   * Opens the socket, and opens it again whenever it is lost.
   *
   * @param url a path of this site, or a whole URL; by default the root of this site.
   * @param protocols subprotocols that the page speaks.
   */
  connect(url?: string, protocols?: string | string[], options?: Options): void;

  /** Lets a function have what is sent to no stream. */
  listen(callback?: Callback): void;

  /** Lets a function have what is sent to one stream. */
  demultiplex(stream: string, callback: Callback<string>): void;

  /** Sends a message now, or when the socket is open; `false` if too much waits already, and it was dropped. */
  send(message: unknown): boolean;

  /** What sends to one stream. */
  stream(name: string): { send(payload: unknown): boolean };
}
