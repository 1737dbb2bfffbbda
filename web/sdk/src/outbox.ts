import type { Author, Content, Message } from "./proto.js";

export type EntryState = "sent" | "sending" | "failed";

/** A message as a client shows it. `key` stays the same when the server's own takes the place of the echo. */
export interface Entry {
  key: string;
  message: Message;
  state: EntryState;
  /** Why it could not be sent, for people. */
  error: string | null;
}

/** Messages that the server has not acknowledged, in the order they were written. */
export class Outbox {
  readonly #entries = new Map<string, Entry>();

  get entries(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Those to (re)send. A failed one waits for its author. */
  get unsent(): Entry[] {
    return this.entries.filter(({ state }) => state === "sending");
  }

  add(message: Message): Entry {
    const entry: Entry = { key: keyOf(message), message, state: "sending", error: null };
    this.#entries.set(message.clientId, entry);
    return entry;
  }

  /** The server's own message came: true when it was one of ours. */
  acknowledge(message: Message): boolean {
    return this.#entries.delete(message.clientId);
  }

  fail(clientId: string, error: string): void {
    const entry = this.#entries.get(clientId);
    if (entry) this.#entries.set(clientId, { ...entry, state: "failed", error });
  }

  retry(clientId: string): Entry | null {
    const entry = this.#entries.get(clientId);
    if (!entry) return null;
    const again: Entry = { ...entry, state: "sending", error: null };
    this.#entries.set(clientId, again);
    return again;
  }

  discard(clientId: string): void {
    this.#entries.delete(clientId);
  }
}

/** The echo of a message before the server has it: it has the client's id in place of the server's. */
export function echo(roomId: string, sender: Author, clientId: string, content: Content): Message {
  return {
    id: clientId,
    roomId,
    sender,
    clientId,
    content,
    replyTo: null,
    createdAt: new Date().toISOString(),
    editedAt: null,
    deleted: false,
  };
}

/** One key for the echo and for the message that takes its place. */
export function keyOf(message: Message): string {
  return `${message.sender.id}/${message.clientId}`;
}
