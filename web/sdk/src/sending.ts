import { backoffMs } from "./backoff.js";
import { ParlorError } from "./errors.js";
import type { Entry, Outbox } from "./outbox.js";

/** An answer that takes longer is lost: the same is asked again, under the same name. */
export const ANSWER_WITHIN_MS = 15_000;
/** Codes that say nothing about the message: the server could not do it just now. */
const PASSING = ["internal", "unavailable"];
/** Tries before such a message waits for its author. */
const TRIES = 6;

/** What a sender needs of its room. */
export interface Way {
  outbox: Outbox;
  /** Whether anything can be sent now. */
  isOpen: () => boolean;
  /** Sends one message; resolves once it is settled. Throws `ParlorError`, or something else when the connection is lost. */
  send: (entry: Entry) => Promise<void>;
  /** A message was refused for good; it stays, as failed. */
  refused: (entry: Entry, error: ParlorError) => void;
  /** A message has to wait before it is tried again. */
  held?: (entry: Entry, error: ParlorError, pauseMs: number) => void;
  /** The room does not know us any more. */
  outside: () => void;
  random?: (() => number) | undefined;
}

/**
 * Empties an outbox, one message at a time, so that they arrive in the order they were written. A message is only ever sent
 * again under its own client id, which makes that harmless.
 */
export class Sending {
  readonly #way: Way;
  #busy = false;

  constructor(way: Way) {
    this.#way = way;
  }

  async flush(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let tries = 0; ; ) {
        const [entry] = this.#way.outbox.unsent;
        if (!entry || !this.#way.isOpen()) return;
        try {
          await this.#way.send(entry);
          tries = 0;
        } catch (error) {
          // Sent again after the next join.
          if (!(error instanceof ParlorError)) return;
          if (error.code === "not_in_room") return this.#way.outside();
          const pause = this.#pause(error, tries++);
          if (pause !== null) {
            this.#way.held?.(entry, error, pause);
            // Whoever gives it up does not make the others wait.
            await Promise.race([wait(pause), this.#way.outbox.settled(entry.message.clientId)]);
            continue;
          }
          tries = 0;
          this.#way.outbox.fail(entry.message.clientId, error);
          this.#way.refused(entry, error);
        }
      }
    } finally {
      this.#busy = false;
    }
  }

  /** How long to wait before the same once more; null when that would not help. */
  #pause({ code, retryAfterMs }: ParlorError, tries: number): number | null {
    if (code === "rate_limited") return retryAfterMs ?? 1000;
    if (!PASSING.includes(code) || tries >= TRIES) return null;
    return Math.max(retryAfterMs ?? 0, backoffMs(tries, this.#way.random));
  }
}

/** The promise, unless it takes too long: then false. */
export function within<T>(promise: Promise<T>, ms: number): Promise<T | false> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
