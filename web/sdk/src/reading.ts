import type { Message, Receipt, ServerFrame, Unread, User } from "./proto.js";

/** What one has not read in a room, and how far others have. */
export interface Reading {
  /** Null where the server keeps nothing of that. */
  unread: Unread | null;
  /** By person; the server tells it in small rooms alone. */
  receipts: ReadonlyMap<string, Receipt>;
}

export const UNREAD: Reading = { unread: null, receipts: new Map() };

/** For whom it is counted, and whose messages do not count for them. */
export interface Reader {
  me: User | null;
  blocked: ReadonlySet<string>;
}

/** What is read and what is not, after an event. `message` is the one that the event deletes, where it is known. */
export function counted(
  reading: Reading,
  frame: ServerFrame,
  reader: Reader,
  message: Message | null,
): Reading {
  switch (frame.type) {
    case "unread":
      return { ...reading, unread: frame.data };
    case "receipts":
      return toldOf(reading, frame.data.receipts);
    case "new_message":
      return more(reading, frame.data.message, reader, 1);
    case "message_deleted":
      return message && !message.deleted && isAfter(message, reading.unread?.readUpTo ?? null)
        ? more(reading, message, reader, -1)
        : reading;
    default:
      return reading;
  }
}

export function toldOf(reading: Reading, told: readonly Receipt[]): Reading {
  const receipts = new Map(reading.receipts);
  for (const receipt of told) {
    const before = receipts.get(receipt.userId);
    if (!before || before.messageId < receipt.messageId) receipts.set(receipt.userId, receipt);
  }
  return { ...reading, receipts };
}

/** Read up to there, as far as this page knows; the server says it exactly. */
export function readTo(reading: Reading, messageId: string): Reading {
  const { unread } = reading;
  return unread
    ? { ...reading, unread: { ...unread, unread: 0, mentions: 0, readUpTo: messageId } }
    : reading;
}

/** Whether a message counts as unread for somebody: the server's own do not, nor those of whom one blocks. */
export function counts({ sender, content }: Message, userId: string, blocked: ReadonlySet<string>): boolean {
  return sender.id !== userId && content.type !== "system" && !blocked.has(sender.id);
}

/** Whether a message calls somebody, by name or as one of all. */
export function calls({ content: { mentions } }: Message, userId: string): boolean {
  return Boolean(mentions && (mentions.here || mentions.room || mentions.users?.includes(userId)));
}

function more(reading: Reading, message: Message, { me, blocked }: Reader, by: 1 | -1): Reading {
  const { unread } = reading;
  if (!unread || !me || !counts(message, me.id, blocked)) return reading;
  const mentions = unread.mentions + (calls(message, me.id) ? by : 0);
  const count = unread.unread + by;
  return { ...reading, unread: { ...unread, unread: Math.max(0, count), mentions: Math.max(0, mentions) } };
}

/** Ids of messages grow with time. */
function isAfter({ id }: Message, pointer: string | null): boolean {
  return pointer === null || id > pointer;
}
