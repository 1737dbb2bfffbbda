import type { Api, ReportReason } from "./api.js";
import type { Direct as Conversation, DirectPerson, Message, Room } from "./proto.js";
import { type Page, queryOf } from "./rooms.js";

/** From whom one takes messages. */
export type DirectFrom = "everyone" | "sharesRoom" | "nobody";

/** What a stranger wrote; nothing of it is a conversation before one accepts. */
export interface DirectRequest {
  room: Room;
  /** Who asks. */
  from: string;
  people: DirectPerson[];
  /** Newest first. */
  messages: Message[];
  stirredAt: string;
}

export interface Declining {
  block?: boolean;
  report?: { reason: ReportReason; description?: string };
}

/** Conversations of two or some, and who may begin one. */
export class DirectMessages {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /** The conversation with somebody: a pair has one. Throws `not_found` also where they take no messages. */
  open(userId: string): Promise<Conversation> {
    return this.#api.request("POST", "/dms", { userId });
  }

  /** A group of up to 10, oneself included; without a name it goes by its people. */
  group(userIds: string[], name?: string): Promise<Conversation> {
    return this.#api.request("POST", "/dms/groups", { userIds, ...(name ? { name } : {}) });
  }

  /** Stirred last first. */
  list(after?: string): Promise<Page<Conversation>> {
    return this.#api.request("GET", `/dms${queryOf({ after, limit: 100 })}`);
  }

  one(roomId: string): Promise<Conversation> {
    return this.#api.request("GET", of(roomId));
  }

  async rename(roomId: string, name: string): Promise<Conversation> {
    return this.#api.request("PATCH", of(roomId), { name });
  }

  bring(roomId: string, userId: string): Promise<Conversation> {
    return this.#api.request("POST", `${of(roomId)}/people`, { userId });
  }

  async leave(roomId: string): Promise<void> {
    await this.#api.request<void>("POST", `${of(roomId)}/leave`);
  }

  requests(after?: string): Promise<Page<DirectRequest>> {
    return this.#api.request("GET", `/dms/requests${queryOf({ after, limit: 100 })}`);
  }

  accept(roomId: string): Promise<Conversation> {
    return this.#api.request("POST", `${request(roomId)}/accept`);
  }

  /** Whoever asked is told nothing of it. */
  async decline(roomId: string, also: Declining = {}): Promise<void> {
    await this.#api.request<void>("POST", `${request(roomId)}/decline`, also);
  }

  async declineAll(): Promise<number> {
    return (await this.#api.request<{ declined: number }>("POST", "/dms/requests/decline")).declined;
  }

  async takenFrom(): Promise<DirectFrom> {
    return (await this.#api.request<{ from: DirectFrom }>("GET", "/users/me/direct")).from;
  }

  async takeFrom(from: DirectFrom): Promise<void> {
    await this.#api.request("PUT", "/users/me/direct", { from });
  }
}

function of(roomId: string): string {
  return `/dms/${encodeURIComponent(roomId)}`;
}

function request(roomId: string): string {
  return `/dms/requests/${encodeURIComponent(roomId)}`;
}
