import type { Member, Message, Role, RoomState, ServerFrame } from "../src/proto.js";

/** What may happen in a room. Numbers choose among what is there. */
export type Happening =
  | { kind: "say"; who: number; text: string; thread: number | null }
  | { kind: "edit"; which: number; text: string }
  | { kind: "delete"; which: number }
  | { kind: "react"; which: number; who: number; emoji: string; on: boolean }
  | { kind: "ask"; who: number }
  | { kind: "vote"; which: number; who: number; option: number }
  | { kind: "pin"; which: number; pinned: boolean }
  | { kind: "lock"; which: number; locked: boolean }
  | { kind: "come"; who: number }
  | { kind: "go"; who: number }
  | { kind: "rank"; who: number; role: Role }
  | { kind: "own"; who: number }
  | { kind: "settle"; name: string };

export const PEOPLE = ["me", "bob", "cleo", "dan"];
/** Messages that a fresh state has. */
const STATE = 50;
const AT = "2026-01-31T09:30:00.123Z";

/** A room as the server keeps it, told by the rules of docs/protocol.md: its state, and the events that lead there. */
export class ModelRoom {
  readonly events: ServerFrame[] = [];
  readonly messages: Message[] = [];
  readonly #members = new Map<string, Member>([["me", memberOf("me", "owner")]]);
  readonly #reactors = new Map<string, Set<string>>();
  readonly #ballots = new Map<string, Map<string, number>>();
  #name = "Friday";
  #revision = 1;

  get offset(): number {
    return this.events.length;
  }

  state(recovered: boolean | null): RoomState {
    return {
      room: this.#room() as RoomState["room"],
      you: { role: this.#members.get("me")?.role ?? "member" },
      members: [...this.#members.values()],
      online: this.#members.size,
      messages: recovered ? [] : structuredClone(this.messages.slice(-STATE)),
      recovered,
      call: null,
      unread: null,
    };
  }

  happen(it: Happening): void {
    switch (it.kind) {
      case "say":
        return this.#say(it.who, { text: it.text }, it.thread);
      case "ask": {
        const options = ["yes", "no"].map((text) => ({ text, votes: 0 }));
        const poll = { question: "Well?", options, multiple: false, closesAt: null, voters: 0 };
        return this.#say(it.who, { type: "poll", text: "Well?", poll }, null);
      }
      case "come":
        return this.#come(it.who);
      case "go":
        return this.#go(it.who);
      case "rank":
        return this.#rank(PEOPLE[it.who] ?? "", it.role);
      case "own":
        return this.#own(PEOPLE[it.who] ?? "");
      case "settle":
        this.#name = it.name;
        this.#revision++;
        return this.#tell({ type: "room_updated", data: { room: this.#room() as RoomState["room"] } });
      default:
        return this.#change(it);
    }
  }

  #change(it: Happening & { which: number }): void {
    const message = this.messages[it.which % Math.max(1, this.messages.length)];
    if (!message || message.deleted) return;
    switch (it.kind) {
      case "edit":
        message.content.text = it.text;
        message.editedAt = AT;
        return this.#tell({ type: "message_edited", data: { message: structuredClone(message) } });
      case "delete":
        return this.#delete(message);
      case "react":
        return this.#react(message, PEOPLE[it.who] ?? "", it.emoji, it.on);
      case "vote":
        return this.#vote(message, PEOPLE[it.who] ?? "", it.option);
      case "pin":
        if (it.pinned) message.pinnedAt = AT;
        else delete message.pinnedAt;
        return this.#tell({
          type: "message_pinned",
          data: { messageId: message.id, pinnedAt: message.pinnedAt ?? null, by: "me" },
        });
      case "lock":
        if (!message.thread) return;
        message.thread = { ...message.thread, locked: it.locked };
        return this.#tellThread(message);
    }
  }

  #say(who: number, content: Message["content"], thread: number | null): void {
    const sender = PEOPLE[who] ?? "";
    const roots = this.messages.filter(({ content: { threadId }, deleted }) => !threadId && !deleted);
    const root = thread === null || roots.length === 0 ? null : roots[thread % roots.length];
    const number = String(this.messages.length).padStart(6, "0");
    const message: Message = {
      id: `m${number}`,
      roomId: "r",
      sender: { id: sender, nickname: sender },
      clientId: `c${number}`,
      content: { ...content, ...(root ? { threadId: root.id } : {}) },
      replyTo: null,
      createdAt: AT,
      editedAt: null,
      deleted: false,
    };
    this.messages.push(message);
    this.#tell({ type: "new_message", data: { message: structuredClone(message) } });
    if (!root) return;
    const { replies, locked } = root.thread ?? { replies: 0, locked: false };
    root.thread = { replies: replies + 1, lastReplyAt: AT, locked };
    this.#tellThread(root);
  }

  #delete(message: Message): void {
    const { threadId } = message.content;
    message.content = { text: "", ...(threadId ? { threadId } : {}) };
    message.deleted = true;
    delete message.reactions;
    delete message.pinnedAt;
    this.#tell({ type: "message_deleted", data: { messageId: message.id, by: "me" } });
    const root = this.messages.find(({ id }) => id === threadId);
    if (!root?.thread) return;
    const replies = root.thread.replies - 1;
    if (replies === 0 && !root.thread.locked) delete root.thread;
    else root.thread = { ...root.thread, replies };
    this.#tellThread(root);
  }

  #react(message: Message, userId: string, emoji: string, added: boolean): void {
    const people = this.#reactors.get(`${message.id}/${emoji}`) ?? new Set();
    this.#reactors.set(`${message.id}/${emoji}`, people);
    if (people.has(userId) === added) return;
    if (added) people.add(userId);
    else people.delete(userId);
    const reactions = { ...message.reactions };
    if (people.size > 0) reactions[emoji] = people.size;
    else delete reactions[emoji];
    if (Object.keys(reactions).length > 0) message.reactions = reactions;
    else delete message.reactions;
    const count = people.size;
    this.#tell({ type: "reaction", data: { messageId: message.id, emoji, userId, added, count } });
  }

  #vote(message: Message, userId: string, option: number): void {
    const { poll } = message.content;
    if (!poll) return;
    const ballots = this.#ballots.get(message.id) ?? new Map();
    this.#ballots.set(message.id, ballots.set(userId, option));
    const chosen = [...ballots.values()];
    poll.options.forEach((it, index) => {
      it.votes = chosen.filter((one) => one === index).length;
    });
    poll.voters = ballots.size;
    const votes = poll.options.map((it) => it.votes);
    this.#tell({ type: "poll_voted", data: { messageId: message.id, votes, voters: poll.voters } });
  }

  #come(who: number): void {
    const userId = PEOPLE[who] ?? "";
    if (this.#members.has(userId)) return;
    const member = memberOf(userId, "member");
    this.#members.set(userId, member);
    this.#tell({ type: "member_joined", data: { member } });
  }

  #go(who: number): void {
    const userId = PEOPLE[who] ?? "";
    if (userId === "me" || !this.#members.delete(userId)) return;
    this.#tell({ type: "member_left", data: { userId, reason: "left" } });
  }

  #rank(userId: string, role: Role): void {
    const member = this.#members.get(userId);
    if (!member) return;
    this.#members.set(userId, { ...member, role });
    this.#tell({ type: "member_role", data: { userId, role } });
  }

  #own(userId: string): void {
    const member = this.#members.get(userId);
    if (!member) return;
    const former = [...this.#members.values()].find(({ role }) => role === "owner");
    if (former) this.#members.set(former.userId, { ...former, role: "admin" });
    this.#members.set(userId, { ...member, role: "owner" });
    this.#tell({ type: "room_owner", data: { userId, formerId: former?.userId ?? null } });
  }

  #tellThread({ id, thread }: Message): void {
    this.#tell({ type: "thread_changed", data: { messageId: id, thread: thread ? { ...thread } : null } });
  }

  #tell(frame: Pick<ServerFrame, "type" | "data">): void {
    const event = { ...frame, roomId: "r", epoch: "e", offset: this.events.length + 1 };
    this.events.push(event as ServerFrame);
  }

  #room(): object {
    return { id: "r", kind: "group", name: this.#name, revision: this.#revision };
  }
}

function memberOf(userId: string, role: Role): Member {
  return { userId, nickname: userId, role };
}
