import { counts, type Room, type RoomSnapshot } from "@parlor/sdk";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { firstUnread } from "./rows.ts";

/** Whether somebody looks at the page. */
function useIsSeen(): boolean {
  return useSyncExternalStore(
    (changed) => {
      document.addEventListener("visibilitychange", changed);
      window.addEventListener("focus", changed);
      window.addEventListener("blur", changed);
      return () => {
        document.removeEventListener("visibilitychange", changed);
        window.removeEventListener("focus", changed);
        window.removeEventListener("blur", changed);
      };
    },
    () => !document.hidden && document.hasFocus(),
  );
}

/** Says that one has read to the newest message, for as long as it is in sight of somebody who looks. */
export function useNewest(room: Room, { messages, unread, state }: RoomSnapshot) {
  const [isAtEnd, setAtEnd] = useState(true);
  /** Marked as unread: so it stays until they look away, or go. */
  const [isKept, setKept] = useState(false);
  const isSeen = useIsSeen();
  const last = messages.findLast((entry) => entry.state === "sent")?.message.id ?? null;
  const isDue = isAtEnd && isSeen && !isKept && state === "joined" && (unread?.unread ?? 0) > 0;
  useEffect(() => {
    if (isDue && last) room.markRead(last);
  }, [isDue, last, room]);
  useEffect(() => {
    if (!isSeen) setKept(false);
  }, [isSeen]);
  const count = messages.length;
  useEffect(() => {
    if (isAtEnd && count > 0) room.pages.settle();
  }, [isAtEnd, count, room]);
  return { setAtEnd, keep: () => setKept(true) };
}

/** The first message that was not read when somebody came, or came back. It stays where it is while they read. */
export function useUnreadFrom(
  { messages, unread, state, hasNewer }: RoomSnapshot,
  myId: string,
  blocked: ReadonlySet<string>,
): string | null {
  const [from, setFrom] = useState<string | null>(null);
  const isSeen = useIsSeen();
  const last = messages.at(-1);
  const isKnown = useRef(false);
  const before = useRef<string | null>(null);
  useEffect(() => {
    if (state !== "joined" || isKnown.current || messages.length === 0) return;
    isKnown.current = true;
    if (unread) setFrom(firstUnread(messages, unread, (message) => counts(message, myId, blocked)));
  }, [state, messages, unread, myId, blocked]);
  useEffect(() => {
    // What a jump brings into sight is no news.
    if (hasNewer) return;
    const isNew = last && before.current !== null && last.key !== before.current;
    before.current = last?.key ?? null;
    if (!isNew) return;
    const { message } = last;
    if (message.sender.id === myId) setFrom(null);
    else if (!isSeen && !message.content.threadId && counts(message, myId, blocked))
      setFrom((now) => now ?? message.id);
  }, [last, isSeen, myId, blocked, hasNewer]);
  return from;
}
