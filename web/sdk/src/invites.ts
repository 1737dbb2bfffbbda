import type { Api } from "./api.js";
import { of, type Page, queryOf, type SeenRoom } from "./rooms.js";

/** A link by which people come into a room. */
export interface Invite {
  inviteId: string;
  roomId: string;
  createdBy: { userId: string; nickname: string };
  createdAt: string;
  /** Null: until it is revoked. */
  expiresAt: string | null;
  /** Null: for as many as there are. */
  maxUses: number | null;
  uses: number;
}

export interface NewInvite {
  /** RFC 3339, within a year. */
  expiresAt?: string;
  maxUses?: number;
}

/** Somebody who asks to be let in. */
export interface JoinRequest {
  user: { userId: string; nickname: string };
  note: string | null;
  createdAt: string;
}

/** Ways into a room: links, and asking. */
export class Invites {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /** The code is told now and never again. */
  make(roomId: string, invite: NewInvite = {}): Promise<Invite & { code: string }> {
    return this.#api.request("POST", `${of(roomId)}/invites`, invite);
  }

  /** One's own, or everybody's for those who keep order. */
  async list(roomId: string): Promise<Invite[]> {
    return (await this.#api.request<{ items: Invite[] }>("GET", `${of(roomId)}/invites`)).items;
  }

  async revoke(roomId: string, inviteId: string): Promise<void> {
    await this.#api.request<void>("DELETE", `${of(roomId)}/invites/${encodeURIComponent(inviteId)}`);
  }

  /** Comes in by a link. Throws `invite_over`. */
  accept(code: string): Promise<SeenRoom> {
    return this.#api.request("POST", `/invites/${encodeURIComponent(code)}/accept`);
  }

  /** Asks to be let in; the answer is `call.admitted` or `call.denied` on the socket. */
  async ask(roomId: string, note?: string): Promise<void> {
    await this.#api.request<void>("POST", `${of(roomId)}/requests`, note ? { note } : {});
  }

  /** Who asks, first come first. */
  requests(roomId: string, cursor?: string): Promise<Page<JoinRequest>> {
    return this.#api.request("GET", `${of(roomId)}/requests${queryOf({ cursor })}`);
  }

  async answer(roomId: string, userId: string, letIn: boolean): Promise<void> {
    const act = letIn ? "approve" : "deny";
    await this.#api.request<void>("POST", `${of(roomId)}/requests/${encodeURIComponent(userId)}/${act}`);
  }
}
