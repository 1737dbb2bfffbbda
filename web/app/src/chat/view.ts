import type { Message, Room, RoomSnapshot } from "@parlor/sdk";
import { createContext, useContext } from "react";

/** What all parts of a chat share. */
export interface ChatView {
  room: Room;
  snapshot: RoomSnapshot;
  myId: string;
  myName: string;
  /** Whether one keeps order among the messages: deletes those of others, reads what they said before. */
  keepsOrder: boolean;
  /** Whether one pins, and calls everybody: the room's own moderators do. */
  pins: boolean;
  /** Whether one may write here at all. */
  mayWrite: boolean;
  /** Whether messages take files here. */
  takesFiles: boolean;
  /** Whether it is shown what links lead to. */
  showsLinks: boolean;
  /** Names of everybody that is known here, by id. */
  names: ReadonlyMap<string, string>;
  /** Whom one does not want to read. */
  blocked: ReadonlySet<string>;
  /** Does something, and shows what the server says against it. */
  act: (work: () => Promise<unknown>) => Promise<void>;
  /** Where somebody wants to be; a new object for each wish. */
  target: { id: string } | null;
  /** Leaves a message and all after it unread, however much in sight they are. */
  keepUnread: (messageId: string) => void;
  /** Goes to a message, wherever in the history it is. */
  jump: (messageId: string) => void;
  openThread: (rootId: string) => void;
  search: (text: string) => void;
  show: (dialog: ChatDialog) => void;
}

/** What is asked or shown on top of a chat. */
export type ChatDialog =
  | { kind: "delete"; message: Message }
  | { kind: "forward"; message: Message }
  | { kind: "versions"; message: Message }
  | { kind: "picture"; message: Message; fileId: string };

const Context = createContext<ChatView | null>(null);

export const ChatProvider = Context.Provider;

export function useChat(): ChatView {
  const view = useContext(Context);
  if (!view) throw new Error("useChat needs a Chat around it");
  return view;
}
