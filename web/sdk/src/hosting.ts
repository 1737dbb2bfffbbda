import type { Controls, HostAct, TrackSource, TrackStopped, Waiter, Waiting, Whom } from "./proto.js";
import type { Room } from "./room.js";

/** What holds in a call of which nothing is known yet. */
export const NO_CONTROLS: Controls = {
  locked: false,
  waitingRoom: false,
  spotlight: null,
  mutedAll: null,
  disabled: [],
};

/** What the server lets through no more, by where it comes from. */
export type Held = Partial<Record<TrackSource, TrackStopped>>;

/** A host did something. */
export interface Hosted {
  /** Who; null: nobody, the one whom all were to see has left. */
  by: string | null;
  act: HostAct | null;
  controls: Controls;
}

/** Why the call is over for us, though we did not leave. */
export interface CallOver {
  reason: "removed_by_host" | "ended_by_host";
  by: string | null;
}

/** What hosts may do. Each settles once the server has done it; it throws `ParlorError` when it is not allowed. */
export class Hosting {
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
  }

  /** Mutes everybody but hosts; those who come later too. `muted: false` ends that, and opens nobody's microphone. */
  async muteAll(muted: boolean, mayUnmute = true): Promise<void> {
    await this.#room.socket.request("call.mute_all", { roomId: this.#room.id, muted, mayUnmute });
  }

  /** Lets nothing of a source through: of one person, or of everybody but hosts. */
  async disable(target: Whom, source: TrackSource, disabled: boolean): Promise<void> {
    await this.#room.socket.request("call.disable", { roomId: this.#room.id, target, source, disabled });
  }

  /** Shows one participant large to everybody; `null`: nobody. */
  async spotlight(participantId: string | null): Promise<void> {
    await this.#room.socket.request("call.spotlight", { roomId: this.#room.id, participantId });
  }

  async lock(locked: boolean): Promise<void> {
    await this.#room.socket.request("call.lock", { roomId: this.#room.id, locked });
  }

  async setWaitingRoom(enabled: boolean): Promise<void> {
    await this.#room.socket.request("call.waiting_room", { roomId: this.#room.id, enabled });
  }

  /** Lets in one who waits, or everybody. */
  async admit(target: Whom): Promise<void> {
    await this.#room.socket.request("call.admit", { roomId: this.#room.id, target });
  }

  async deny(userId: string): Promise<void> {
    await this.#room.socket.request("call.deny", { roomId: this.#room.id, userId });
  }

  /** Puts somebody out of the call; they may come back as anybody may. */
  async remove(userId: string): Promise<void> {
    await this.#room.socket.request("call.remove", { roomId: this.#room.id, userId });
  }

  async endForAll(): Promise<void> {
    await this.#room.socket.request("call.end", { roomId: this.#room.id });
  }
}

/** Who waits after the server has told all of them, or what has changed. */
export function waitersAfter(
  before: readonly Waiter[],
  { whole, waiting, gone }: Waiting,
): readonly Waiter[] {
  if (whole) return waiting;
  const over = new Set([...gone, ...waiting.map(({ userId }) => userId)]);
  return [...before.filter(({ userId }) => !over.has(userId)), ...waiting];
}

/** What is held after the server has stopped a track. */
export function heldAfter(held: Held, stopped: TrackStopped): Held {
  return { ...held, [stopped.source]: stopped };
}

/** What is still held, by what everybody sees of us. */
export function stillHeld(
  held: Held,
  tracks: readonly { source: TrackSource; mutedByHost: boolean }[],
): Held {
  const free = tracks.filter(({ source, mutedByHost }) => !mutedByHost && held[source]);
  if (free.length === 0) return held;
  const left: Held = { ...held };
  for (const { source } of free) delete left[source];
  return left;
}
