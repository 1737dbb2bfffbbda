import type { Api } from "./api.js";
import { newClientId, type Unsent } from "./outbox.js";
import type { Attachment, Content, Mentions, Message, NewContent, NewPoll, User } from "./proto.js";

/** What somebody writes. */
export interface Writing {
  text?: string;
  /** Files that are clean. */
  attachments?: Attachment[];
  mentions?: Mentions;
  poll?: NewPoll;
  /** The message that it answers. */
  replyTo?: string | null;
  /** The message with which its thread begins. */
  threadId?: string | null;
  /** A message, of any room, that it says again; in the place of all else. */
  forward?: Message;
  /** After how many seconds the server deletes it, 5 to 2,592,000. */
  expiresInS?: number | null;
}

/** The echo of a message before the server has it: it has the client's id in place of the server's. */
export function echoOf(
  roomId: string,
  sender: Pick<User, "id" | "nickname">,
  clientId: string,
  writing: Writing,
): Unsent {
  const { forward, expiresInS } = writing;
  return {
    id: clientId,
    roomId,
    sender: { id: sender.id, nickname: sender.nickname },
    clientId,
    content: forward ? forwarded(forward) : contentOf(writing),
    replyTo: writing.replyTo ?? null,
    createdAt: new Date().toISOString(),
    editedAt: null,
    deleted: false,
    ...(forward ? { forward: { roomId: forward.roomId, messageId: forward.id } } : {}),
    ...(expiresInS ? { expiresInS, expiresAt: new Date(Date.now() + expiresInS * 1000).toISOString() } : {}),
  };
}

/** What an echo says, as it is asked for. */
export function newContentOf({ text, attachments, mentions, poll, threadId, type }: Content): NewContent {
  return {
    text,
    ...(type && type !== "text" ? { type } : {}),
    ...(attachments ? { attachments: attachments.map(({ fileId }) => ({ fileId })) } : {}),
    ...(mentions ? { mentions } : {}),
    ...(poll
      ? {
          poll: {
            question: poll.question,
            options: poll.options.map((option) => ({ text: option.text })),
            multiple: poll.multiple,
            closesAt: poll.closesAt,
          },
        }
      : {}),
    ...(threadId ? { threadId } : {}),
  };
}

function contentOf({ text = "", attachments = [], mentions, poll, threadId }: Writing): Content {
  const [first] = attachments;
  const kind = first && attachments.every((file) => file.kind === first.kind) ? first.kind : "file";
  return {
    text,
    ...(poll ? { type: "poll", poll: asked(poll) } : first ? { type: kind, attachments } : {}),
    ...(mentions && (mentions.here || mentions.room || mentions.users?.length) ? { mentions } : {}),
    ...(threadId ? { threadId } : {}),
  };
}

function asked({ question, options, multiple = false, closesAt = null }: NewPoll): Content["poll"] & object {
  return {
    question,
    options: options.map(({ text }) => ({ text, votes: 0 })),
    multiple,
    closesAt,
    voters: 0,
  };
}

function forwarded({ content, sender, createdAt }: Message): Content {
  const forwardedFrom = content.forwardedFrom ?? { sender, createdAt, roomId: null, messageId: null };
  return { text: content.text, forwardedFrom };
}

/** Says a message again in another room, over REST: one need not be there, but has to belong to it. */
export function forwardTo(api: Api, roomId: string, { roomId: from, id }: Message): Promise<Message> {
  return api.request("POST", `/rooms/${encodeURIComponent(roomId)}/messages`, {
    clientId: newClientId(),
    forward: { roomId: from, messageId: id },
  });
}
