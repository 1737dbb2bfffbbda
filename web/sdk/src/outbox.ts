import type { ParlorError } from "./errors.js";
import type { Forward, Message } from "./proto.js";
import type { Shelf } from "./shelf.js";

export type EntryState = "sent" | "sending" | "failed";

/** A message as a client shows it. `key` stays the same when the server's own takes the place of the echo. */
export interface Entry {
  key: string;
  message: Message;
  state: EntryState;
  /** Why it could not be sent, or has to wait, for people. */
  error: string | null;
  /** Why, for programs. */
  code: string | null;
  /** When it goes by itself, in milliseconds since 1970; null: at once, or not at all. */
  waitsUntil: number | null;
}

/** A message that is on its way, with what the server's own does not have. */
export type Unsent = Message & {
  /** The message that it says again. */
  forward?: Forward;
  /** After how many seconds it deletes itself. */
  expiresInS?: number;
};

/** What a shelf keeps of it: the server's refusal too, so that nothing goes again by itself that its author has to decide about. */
type Kept = Unsent & { refused?: { error: string; code: string } };

/** Messages of one room that may wait to be sent. Beyond, what is written stays with its author. */
export const OUTBOX_LIMIT = 100;

/** Messages that the server has not acknowledged, in the order they were written; on a shelf they outlive a reload. */
export class Outbox {
  readonly #entries = new Map<string, Entry>();
  readonly #settled = new Map<string, () => void>();
  readonly #shelf: Shelf<Kept[]> | null;

  constructor(shelf: Shelf<Kept[]> | null = null) {
    this.#shelf = shelf;
    // Whether these have arrived is not known: they are sent again under their old ids, which is harmless.
    for (const { refused, ...message } of shelf?.read() ?? []) {
      if (this.isFull) break;
      const entry = this.#put(message);
      if (refused) this.#entries.set(message.clientId, { ...entry, state: "failed", ...refused });
    }
  }

  get isFull(): boolean {
    return this.#entries.size >= OUTBOX_LIMIT;
  }

  get entries(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Those to (re)send. A failed one waits for its author. */
  get unsent(): Entry[] {
    return this.entries.filter(({ state }) => state === "sending");
  }

  /** Null when too many wait already. */
  add(message: Unsent): Entry | null {
    if (this.isFull) return null;
    const entry = this.#put(message);
    this.#keep(message.clientId);
    return entry;
  }

  /** The server's own message came: true when it was one of ours. */
  acknowledge(message: Message): boolean {
    return this.#remove(message.clientId);
  }

  /** Resolves when nothing is to be done about this message any more. */
  settled(clientId: string): Promise<void> {
    if (!this.#entries.has(clientId)) return Promise.resolve();
    return new Promise((resolve) => this.#settled.set(clientId, resolve));
  }

  /** The text stays, for its author to send again, to change or to drop. */
  fail(clientId: string, error: ParlorError): void {
    const entry = this.#entries.get(clientId);
    const why = { error: error.message, code: error.code, waitsUntil: null };
    if (!entry) return;
    this.#entries.set(clientId, { ...entry, state: "failed", ...why });
    this.#keep(clientId);
  }

  /** It has to wait, and goes by itself then. */
  hold(clientId: string, error: ParlorError, until: number): void {
    const entry = this.#entries.get(clientId);
    const why = { error: error.message, code: error.code, waitsUntil: until };
    if (entry) this.#entries.set(clientId, { ...entry, ...why });
  }

  retry(clientId: string): Entry | null {
    const entry = this.#entries.get(clientId);
    if (!entry) return null;
    const again: Entry = { ...entry, state: "sending", error: null, code: null, waitsUntil: null };
    this.#entries.set(clientId, again);
    this.#keep(clientId);
    return again;
  }

  discard(clientId: string): void {
    this.#remove(clientId);
  }

  #put(message: Unsent): Entry {
    const entry: Entry = { ...sentEntry(message), state: "sending" };
    this.#entries.set(message.clientId, entry);
    return entry;
  }

  #remove(clientId: string): boolean {
    const was = this.#entries.delete(clientId);
    this.#settled.get(clientId)?.();
    this.#settled.delete(clientId);
    if (was) this.#keep(clientId);
    return was;
  }

  /** Writes what has become of one message. The others on the shelf may be those of another tab. */
  #keep(clientId: string): void {
    if (!this.#shelf) return;
    const kept = this.#shelf.read() ?? [];
    const at = kept.findIndex((message) => message.clientId === clientId);
    const entry = this.#entries.get(clientId);
    const now = entry ? [keptOf(entry)] : [];
    if (at < 0) kept.push(...now);
    else kept.splice(at, 1, ...now);
    this.#shelf.write(kept.length > 0 ? kept : null);
  }
}

function keptOf({ message, state, error, code }: Entry): Kept {
  const isRefused = state === "failed" && error !== null && code !== null;
  return isRefused ? { ...message, refused: { error, code } } : message;
}

/** A message that the server has. */
export function sentEntry(message: Message): Entry {
  return { key: keyOf(message), message, state: "sent", error: null, code: null, waitsUntil: null };
}

/** One key for the echo and for the message that takes its place. */
export function keyOf(message: Message): string {
  return `${message.sender.id}/${message.clientId}`;
}

/** A new client's id: 96 random bits. */
export function newClientId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `c-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
