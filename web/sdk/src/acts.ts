import type { Marks } from "./marks.js";
import type { Role } from "./proto.js";
import type { Socket } from "./socket.js";

/** What one does to the messages and members that are there. Each throws `ParlorError` when refused, or `ConnectionLost`. */
export class Acts {
  readonly #roomId: string;
  readonly #socket: Socket;
  readonly #marks: Marks;

  constructor(roomId: string, socket: Socket, marks: Marks) {
    this.#roomId = roomId;
    this.#socket = socket;
    this.#marks = marks;
  }

  async edit(messageId: string, text: string): Promise<void> {
    await this.#socket.request("edit_message", { roomId: this.#roomId, messageId, content: { text } });
  }

  async delete(messageId: string): Promise<void> {
    await this.#socket.request("delete_message", { roomId: this.#roomId, messageId });
  }

  /** Puts an emoji to a message, or takes it back; without `on` it does what one has not done. */
  async react(messageId: string, emoji: string, on?: boolean): Promise<void> {
    const isOn = this.#marks.reactions(messageId).has(emoji);
    const wanted = on ?? !isOn;
    const ask = (value: boolean) => {
      this.#marks.react(messageId, emoji, value);
      return this.#socket.request("react", { roomId: this.#roomId, messageId, emoji, on: value });
    };
    try {
      const answer = await ask(wanted);
      // It was there already, from another day: who did not see that wanted to take it back.
      if (on === undefined && wanted && answer.type === "ok") await ask(false);
    } catch (error) {
      this.#marks.react(messageId, emoji, isOn);
      throw error;
    }
  }

  /** Chooses answers of a poll, counted from 0; none takes the choice back. */
  async vote(messageId: string, options: number[]): Promise<void> {
    await this.#socket.request("vote", { roomId: this.#roomId, messageId, options });
    this.#marks.vote(messageId, options);
  }

  async pin(messageId: string, pinned: boolean): Promise<void> {
    await this.#socket.request("pin_message", { roomId: this.#roomId, messageId, pinned });
  }

  async lockThread(messageId: string, locked: boolean): Promise<void> {
    await this.#socket.request("lock_thread", { roomId: this.#roomId, messageId, locked });
  }

  async removeMember(userId: string, reason: string): Promise<void> {
    await this.#socket.request("remove_member", { roomId: this.#roomId, userId, reason });
  }

  async setRole(userId: string, role: Role): Promise<void> {
    await this.#socket.request("set_member_role", { roomId: this.#roomId, userId, role });
  }
}
