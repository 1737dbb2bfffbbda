import type { Member, Message, Role, Room as RoomInfo, RoomState, ServerFrame, User } from "./proto.js";

/** A stretch of a room's messages without a gap, oldest first. */
export interface Stretch {
  messages: readonly Message[];
  hasOlder: boolean;
  /** There are newer ones than the last one here: new messages do not belong behind it yet. */
  hasNewer: boolean;
}

/** An open thread: the message that it begins with, as far as it is known, and what was written in it. */
export interface ThreadStretch extends Stretch {
  rootId: string;
  root: Message | null;
}

/** All of a room that its durable events change. A new object at each change; what did not change is the same. */
export interface Timeline {
  info: RoomInfo | null;
  role: Role;
  members: ReadonlyMap<string, Member>;
  /** How many are there; of many, `members` names the first alone. */
  online: number;
  /** The newest messages. */
  latest: Stretch;
  /** Where somebody looks who has jumped into the past; null: at the newest. */
  visited: Stretch | null;
  thread: ThreadStretch | null;
}

/** Messages on a page of history. */
export const PAGE = 50;
/** More than these are cut down to a few for who looks at the newest: a room that is open for days stays light. */
export const MOST = 1_000;
export const FEW = 500;

const NOTHING: Stretch = { messages: [], hasOlder: false, hasNewer: false };

export const EMPTY: Timeline = {
  info: null,
  role: "member",
  members: new Map(),
  online: 0,
  latest: NOTHING,
  visited: null,
  thread: null,
};

/** The state that the server gives: the whole of it, or, where it says so, what goes with the events that follow. */
export function entered(before: Timeline, state: RoomState): Timeline {
  const members = new Map(state.members.map((member) => [member.userId, member]));
  const room = { info: state.room, role: state.you.role, members, online: state.online };
  if (state.recovered === true) return { ...before, ...room };
  const latest = {
    messages: state.messages,
    // What strangers write is never stored: there is no history to page back through.
    hasOlder: state.messages.length === PAGE && state.room.kind !== "match",
    hasNewer: false,
  };
  // What happened to older messages meanwhile is not known: nobody stays in a past that may have changed.
  return { ...before, ...room, latest, visited: null, thread: before.thread && refreshed(before.thread) };
}

/** A thread of which nothing is known any more but where it begins. */
function refreshed({ rootId, root }: ThreadStretch): ThreadStretch {
  return { ...NOTHING, rootId, root, hasOlder: true };
}

/** The timeline after an event; the same object when it changes nothing here. `me` is who looks at it. */
export function applied(timeline: Timeline, frame: ServerFrame, me: User | null): Timeline {
  switch (frame.type) {
    case "new_message":
      return added(timeline, frame.data.message);
    case "message_edited": {
      const { message } = frame.data;
      return changed(timeline, message.id, () => message);
    }
    case "message_deleted":
      return changed(timeline, frame.data.messageId, emptied);
    case "reaction": {
      const { messageId, emoji, count } = frame.data;
      return changed(timeline, messageId, (message) => reacted(message, emoji, count));
    }
    case "message_pinned": {
      const { messageId, pinnedAt } = frame.data;
      return changed(timeline, messageId, ({ pinnedAt: _, ...rest }) =>
        pinnedAt === null ? rest : { ...rest, pinnedAt },
      );
    }
    case "poll_voted": {
      const { messageId, votes, voters } = frame.data;
      return changed(timeline, messageId, (message) => voted(message, votes, voters));
    }
    case "thread_changed": {
      const { messageId, thread } = frame.data;
      return changed(timeline, messageId, ({ thread: _, ...rest }) =>
        thread === null ? rest : { ...rest, thread },
      );
    }
    case "room_updated":
      return { ...timeline, info: frame.data.room };
    default:
      return peopled(timeline, frame, me);
  }
}

/** What comes and goes, and who is what. */
function peopled(timeline: Timeline, frame: ServerFrame, me: User | null): Timeline {
  switch (frame.type) {
    case "member_joined": {
      const { member } = frame.data;
      const isNew = !timeline.members.has(member.userId);
      const members = new Map(timeline.members).set(member.userId, member);
      return { ...timeline, members, online: timeline.online + (isNew ? 1 : 0) };
    }
    case "member_left": {
      const members = new Map(timeline.members);
      const wasNamed = members.delete(frame.data.userId);
      // Of many not all are named.
      const wasThere = wasNamed || timeline.online > timeline.members.size;
      return wasThere ? { ...timeline, members, online: Math.max(0, timeline.online - 1) } : timeline;
    }
    case "member_role":
      return ranked(timeline, frame.data.userId, frame.data.role, me);
    case "room_owner": {
      const { userId, formerId } = frame.data;
      const after = formerId === null ? timeline : ranked(timeline, formerId, "admin", me);
      return ranked(after, userId, "owner", me);
    }
    default:
      return timeline;
  }
}

function ranked(timeline: Timeline, userId: string, role: Role, me: User | null): Timeline {
  const member = timeline.members.get(userId);
  const members = member ? new Map(timeline.members).set(userId, { ...member, role }) : timeline.members;
  return { ...timeline, members, role: userId === me?.id ? role : timeline.role };
}

function added(timeline: Timeline, message: Message): Timeline {
  const { latest, visited, thread } = timeline;
  return {
    ...timeline,
    latest: behind(latest, message),
    visited: visited && behind(visited, message),
    thread:
      thread && message.content.threadId === thread.rootId
        ? { ...thread, ...behind(thread, message) }
        : thread,
  };
}

function behind(stretch: Stretch, message: Message): Stretch {
  if (stretch.hasNewer || stretch.messages.some(({ id }) => id === message.id)) return stretch;
  return { ...stretch, messages: [...stretch.messages, message] };
}

/** The same change to a message wherever it stands. */
function changed(timeline: Timeline, id: string, change: (message: Message) => Message): Timeline {
  const { latest, visited, thread } = timeline;
  const after = {
    latest: changedIn(latest, id, change),
    visited: visited && changedIn(visited, id, change),
    thread: thread && inThread(thread, id, change),
  };
  const isSame = after.latest === latest && after.visited === visited && after.thread === thread;
  return isSame ? timeline : { ...timeline, ...after };
}

function changedIn<S extends Stretch>(stretch: S, id: string, change: (message: Message) => Message): S {
  const index = stretch.messages.findLastIndex((message) => message.id === id);
  const message = stretch.messages[index];
  return message ? { ...stretch, messages: stretch.messages.with(index, change(message)) } : stretch;
}

function inThread(thread: ThreadStretch, id: string, change: (message: Message) => Message): ThreadStretch {
  if (id === thread.rootId) return thread.root ? { ...thread, root: change(thread.root) } : thread;
  return changedIn(thread, id, change);
}

/** A deleted message: its place stays, in its thread too; what it said is gone. */
function emptied(message: Message): Message {
  const { reactions: _, pinnedAt: __, ...rest } = message;
  const { threadId } = message.content;
  return { ...rest, content: { text: "", ...(threadId ? { threadId } : {}) }, deleted: true };
}

function reacted({ reactions, ...message }: Message, emoji: string, count: number): Message {
  const { [emoji]: _, ...others } = reactions ?? {};
  const after = count > 0 ? { ...others, [emoji]: count } : others;
  return Object.keys(after).length > 0 ? { ...message, reactions: after } : message;
}

function voted(message: Message, votes: readonly number[], voters: number): Message {
  const { poll } = message.content;
  if (!poll) return message;
  const options = poll.options.map((option, index) => ({ ...option, votes: votes[index] ?? option.votes }));
  return { ...message, content: { ...message.content, poll: { ...poll, options, voters } } };
}

/** Older messages, newest first as the server lists them, in front of the stretch. */
export function before<S extends Stretch>(stretch: S, page: readonly Message[], hasOlder: boolean): S {
  const known = new Set(stretch.messages.map(({ id }) => id));
  const fresh = page.filter(({ id }) => !known.has(id)).reverse();
  return { ...stretch, messages: [...fresh, ...stretch.messages], hasOlder };
}

/**
 * Newer messages, newest first, behind what somebody looks at in the past. Once that reaches the newest messages, or there is
 * nothing newer, both are one stretch again.
 */
export function after(timeline: Timeline, page: readonly Message[], hasNewer: boolean): Timeline {
  const { latest, visited } = timeline;
  if (!visited) return timeline;
  const known = new Set(visited.messages.map(({ id }) => id));
  const fresh = page.filter(({ id }) => !known.has(id)).reverse();
  return reached(
    { ...timeline, visited: { ...visited, messages: [...visited.messages, ...fresh], hasNewer } },
    latest,
  );
}

/** Looks at a stretch around a message. */
export function visiting(timeline: Timeline, page: readonly Message[]): Timeline {
  const visited = { messages: [...page].reverse(), hasOlder: true, hasNewer: true };
  return reached({ ...timeline, visited }, timeline.latest);
}

/** Both stretches as one, once they meet. What is known of the newest messages is fresher than a page that was asked for. */
function reached(timeline: Timeline, latest: Stretch): Timeline {
  const { visited } = timeline;
  if (!visited) return timeline;
  const newest = new Set(latest.messages.map(({ id }) => id));
  const meets = visited.messages.findIndex(({ id }) => newest.has(id));
  // It begins among the newest: these reach back as far.
  if (meets === 0) return { ...timeline, visited: null };
  if (meets < 0 && visited.hasNewer) return timeline;
  const front = meets < 0 ? visited.messages : visited.messages.slice(0, meets);
  const joined = { messages: [...front, ...latest.messages], hasOlder: visited.hasOlder, hasNewer: false };
  return { ...timeline, latest: joined, visited: null };
}

/** The newest messages alone, once many are loaded. What strangers write is never stored: it could not be fetched again. */
export function short(timeline: Timeline): Timeline {
  const { latest, visited, info } = timeline;
  if (visited || latest.messages.length <= MOST || info?.kind === "match") return timeline;
  return { ...timeline, latest: { ...latest, messages: latest.messages.slice(-FEW), hasOlder: true } };
}

/** The message, wherever it is known. */
export function known(timeline: Timeline, id: string): Message | null {
  const { latest, visited, thread } = timeline;
  const isIt = (message: Message) => message.id === id;
  return (
    latest.messages.findLast(isIt) ??
    visited?.messages.find(isIt) ??
    (thread?.root?.id === id ? thread.root : thread?.messages.find(isIt)) ??
    null
  );
}
