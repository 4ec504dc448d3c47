import type ReconnectingWebSocket from "partysocket/ws";

/** Options of the socket: those of partysocket's `WebSocket`. */
export type Options = NonNullable<ConstructorParameters<typeof ReconnectingWebSocket>[2]>;

/** Gets a message, and the stream that it was sent to. */
export type Callback<Stream = string | null> = (payload: any, stream: Stream) => void;

/** A WebSocket that connects again when it is lost, and whose frames are JSON. */
export declare class WebSocketBridge {
  /** @param options for every `connect`, whose own options come first. */
  constructor(options?: Options);

  /** The socket; `null` before `connect`. Close it by `socket.close()`. */
  socket: InstanceType<typeof ReconnectingWebSocket> | null;

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
