// What a page and the worker that writes for it say to each other.

import type { DeviceChoice } from "../device/choose.ts";
import type { Bytes } from "./bytes.ts";

/** A worker, as far as it is needed: that of a browser, or the end of a channel that leads to one. */
export interface WorkerLike {
  /** Sends a message. */
  postMessage(message: unknown): void;
  /** Listens to what comes, and to what goes wrong. */
  addEventListener(type: "message" | "error", listener: (event: Event) => void): void;
}

/** To the worker. A call has a number, and all that is said later with that number is about it. */
export type Question =
  | { id: number; call: "load"; from: string | Bytes; options: Wanted }
  | { id: number; call: Call; request: unknown }
  | { id: number; call: "close" }
  /** The next item of a stream is wanted… */
  | { id: number; next: true }
  /** …or nothing more of a call. */
  | { id: number; leave: true };

export type Call = "generate" | "stream" | "completions" | "chat";

export interface Wanted {
  best?: boolean;
  device?: DeviceChoice;
  name?: string;
}

/** From the worker. */
export type Reply =
  | { id: number; value: unknown }
  /** The answer is a stream, of which items are sent as they are asked for. */
  | { id: number; streams: true }
  | { id: number; item: unknown }
  | { id: number; end: true };

/** In the place of a reply. */
export interface Failure {
  id: number;
  error: SentError;
}

/** An error in parts, as a message keeps neither its class nor its fields. */
export interface SentError {
  name: string;
  message: string;
  fields: Record<string, unknown>;
}
