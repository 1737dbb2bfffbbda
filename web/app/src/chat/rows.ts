import type { Entry, Message, RoomSnapshot } from "@parlor/sdk";

/** How far somebody has read. */
type Pointer = RoomSnapshot["receipts"][number];

/** A line of the log. */
export type Row =
  | { kind: "day"; key: string; at: Date }
  | { kind: "unread"; key: string }
  | { kind: "system"; key: string; entry: Entry }
  | { kind: "message"; key: string; entry: Entry; first: boolean; seenBy: string[] };

/** Messages of one author within this time stand under one name. */
const GROUP_MS = 5 * 60_000;

interface Wish {
  /** The first message that was not read when somebody came. */
  unreadFrom: string | null;
  receipts: readonly Pointer[];
  myId: string;
  /** Messages of threads stand here; else they have their own panel. */
  threads: boolean;
}

/** What the log shows, line by line. */
export function rowsOf(entries: readonly Entry[], { unreadFrom, receipts, myId, threads }: Wish): Row[] {
  const shown = threads ? entries : entries.filter(({ message }) => !message.content.threadId);
  const seen = seenAt(shown, receipts, myId);
  const rows: Row[] = [];
  let before: Entry | null = null;
  let today: string | null = null;
  for (const entry of shown) {
    const { message, key } = entry;
    const day = dayOf(message.createdAt);
    if (day !== today) {
      rows.push({ kind: "day", key: `day ${day} ${key}`, at: new Date(message.createdAt) });
      today = day;
      before = null;
    }
    if (message.id === unreadFrom) {
      rows.push({ kind: "unread", key: "unread" });
      before = null;
    }
    if (message.content.system) {
      rows.push({ kind: "system", key, entry });
      before = null;
      continue;
    }
    const seenBy = seen.get(message.id) ?? [];
    rows.push({ kind: "message", key, entry, first: startsGroup(entry, before), seenBy });
    before = entry;
  }
  return rows;
}

function startsGroup({ message }: Entry, before: Entry | null): boolean {
  if (!before || before.message.sender.id !== message.sender.id) return true;
  if (message.replyTo || message.content.forwardedFrom) return true;
  return Date.parse(message.createdAt) - Date.parse(before.message.createdAt) > GROUP_MS;
}

function dayOf(at: string): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}

/** Where each other person's reading ends: at the last message shown that is not newer than their pointer. */
function seenAt(shown: readonly Entry[], receipts: readonly Pointer[], myId: string): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  const waiting = receipts
    .filter(({ userId }) => userId !== myId)
    .sort((one, other) => (one.messageId < other.messageId ? -1 : 1));
  for (let index = shown.length - 1; index >= 0 && waiting.length > 0; index--) {
    const { message, state } = shown[index] as Entry;
    if (state !== "sent" || message.content.system) continue;
    const here: string[] = [];
    while ((waiting.at(-1)?.messageId ?? "") >= message.id) here.unshift(waiting.pop()?.userId ?? "");
    const others = here.filter((userId) => userId !== message.sender.id);
    if (others.length > 0) seen.set(message.id, others);
  }
  return seen;
}

/** The oldest of the messages that are not read, of those that the log shows. Whoever has no pointer yet has a count all the same. */
export function firstUnread(
  entries: readonly Entry[],
  { unread, readUpTo }: { unread: number; readUpTo: string | null },
  isCounted: (message: Message) => boolean,
): string | null {
  let first: string | null = null;
  let left = unread;
  for (const { message, state } of entries.toReversed()) {
    if (left <= 0 || (readUpTo !== null && message.id <= readUpTo)) break;
    if (state !== "sent" || message.deleted || !isCounted(message)) continue;
    left--;
    if (!message.content.threadId) first = message.id;
  }
  return first;
}
