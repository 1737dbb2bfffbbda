import type { Api } from "./api.js";
import type { Author, Message, Poll, Receipt, Time, Unread } from "./proto.js";

/** What a message has said at one time. */
export interface Version {
  text: string;
  writtenAt: Time;
}

/** A message that was found, and where in its text: `hits` count Unicode scalars. */
export interface Found {
  message: Message;
  snippet: { text: string; hits: { start: number; length: number }[] };
}

export interface FoundPage {
  items: Found[];
  next: string | null;
}

export interface SearchOptions {
  order?: "newest" | "rank";
  cursor?: string | null;
  /** Up to 50. */
  limit?: number;
}

/** A page of history, newest first. `next` names where the page behind begins; null: there is none. */
export interface MessagePage {
  messages: Message[];
  next: string | null;
}

export interface Which {
  before?: string;
  after?: string;
  around?: string;
  thread?: string;
  limit?: number;
}

/** Searches all rooms of the one who is signed in; the words are those of docs/protocol.md, section 5. */
export function search(
  api: Api,
  text: string,
  { order, cursor, limit }: SearchOptions = {},
): Promise<FoundPage> {
  const query = new URLSearchParams({ q: text });
  if (order) query.set("order", order);
  if (cursor) query.set("cursor", cursor);
  if (limit) query.set("limit", String(limit));
  return api.request("GET", `/search?${query}`);
}

/** What a link leads to, as the server saw it. All of it is text that a stranger wrote. */
export interface Preview {
  /** The address that was asked for. */
  url: string;
  title: string;
  description: string | null;
  siteName: string | null;
  /** On whatever server: whoever shows it tells that server who looks. */
  imageUrl: string | null;
}

/** Has the server look where a link leads. Throws `not_found` where nothing can be said of it, `feature_off` where it does not look. */
export function lookAt(api: Api, url: string): Promise<Preview> {
  return api.request("GET", `/previews?${new URLSearchParams({ url })}`);
}

/** What the server keeps of one room, to be read over REST. */
export class Archive {
  readonly #api: Api;
  readonly #path: string;

  constructor(api: Api, roomId: string) {
    this.#api = api;
    this.#path = `/rooms/${encodeURIComponent(roomId)}`;
  }

  page(which: Which): Promise<MessagePage> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(which)) query.set(name, String(value));
    return this.#api.request("GET", `${this.#path}/messages?${query}`);
  }

  message(messageId: string): Promise<Message> {
    return this.#api.request("GET", this.#of(messageId));
  }

  /** What it has said, oldest first; for moderators. */
  async versions(messageId: string): Promise<Version[]> {
    return (await this.#api.request<{ versions: Version[] }>("GET", `${this.#of(messageId)}/history`))
      .versions;
  }

  /** The last pinned first, up to 50. */
  async pins(): Promise<Message[]> {
    return (await this.#api.request<{ messages: Message[] }>("GET", `${this.#path}/pins`)).messages;
  }

  /** Who reacted so, first come first: up to 100 of them. */
  async reactors(messageId: string, emoji: string): Promise<Author[]> {
    const path = `${this.#of(messageId)}/reactions/${encodeURIComponent(emoji)}?limit=100`;
    return (await this.#api.request<{ users: Author[] }>("GET", path)).users;
  }

  /** A poll, and what one chose in it. */
  results(messageId: string): Promise<{ poll: Poll; options: number[] }> {
    return this.#api.request("GET", `${this.#of(messageId)}/votes`);
  }

  async receipts(): Promise<Receipt[]> {
    return (await this.#api.request<{ receipts: Receipt[] }>("GET", `${this.#path}/receipts`)).receipts;
  }

  unread(): Promise<Unread> {
    return this.#api.request("GET", `${this.#path}/unread`);
  }

  #of(messageId: string): string {
    return `${this.#path}/messages/${encodeURIComponent(messageId)}`;
  }
}
