import type { Api } from "./api.js";
import type { Role } from "./proto.js";
import { of, type Page, queryOf } from "./rooms.js";

/** Somebody who belongs to a room, there or not. */
export interface Belonging {
  userId: string;
  nickname: string;
  role: Role;
  joinedAt: string;
  /** Until when they have no voice; null: they have one. */
  mutedUntil: string | null;
  online: boolean;
}

/** Somebody who may not come back. */
export interface Outcast {
  userId: string;
  nickname: string;
  bannedBy: string;
  reason: string | null;
  createdAt: string;
  /** Null: for good. */
  until: string | null;
}

/** Who belongs to a room, and keeping order among them. */
export class Members {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /** In the order in which they joined. */
  list(roomId: string, cursor?: string): Promise<Page<Belonging>> {
    return this.#api.request("GET", `${of(roomId)}/roster${queryOf({ cursor, limit: 100 })}`);
  }

  async setRole(roomId: string, userId: string, role: Role): Promise<void> {
    await this.#api.request<void>("PUT", `${member(roomId, userId)}/role`, { role });
  }

  /** Puts somebody out who may come back. */
  async kick(roomId: string, userId: string, reason?: string): Promise<void> {
    await this.#api.request<void>("POST", `${member(roomId, userId)}/kick`, reason ? { reason } : {});
  }

  /** Takes the voice until then, within four weeks; null gives it back. */
  async mute(roomId: string, userId: string, until: string | null): Promise<void> {
    await this.#api.request<void>("PUT", `${member(roomId, userId)}/mute`, { until });
  }

  /** Keeps somebody out until then, or for good. */
  async ban(roomId: string, userId: string, reason?: string, until?: string): Promise<void> {
    await this.#api.request<void>("PUT", ban(roomId, userId), {
      ...(reason ? { reason } : {}),
      ...(until ? { until } : {}),
    });
  }

  async unban(roomId: string, userId: string): Promise<void> {
    await this.#api.request<void>("DELETE", ban(roomId, userId));
  }

  /** Who may not come back, the last first. */
  bans(roomId: string, cursor?: string): Promise<Page<Outcast>> {
    return this.#api.request("GET", `${of(roomId)}/bans${queryOf({ cursor })}`);
  }
}

function member(roomId: string, userId: string): string {
  return `${of(roomId)}/members/${encodeURIComponent(userId)}`;
}

function ban(roomId: string, userId: string): string {
  return `${of(roomId)}/bans/${encodeURIComponent(userId)}`;
}
