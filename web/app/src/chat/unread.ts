import type { Room, RoomSnapshot } from "@parlor/sdk";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

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
  const isSeen = useIsSeen();
  const last = messages.findLast((entry) => entry.state === "sent")?.message.id ?? null;
  const isDue = isAtEnd && isSeen && state === "joined" && (unread?.unread ?? 0) > 0;
  useEffect(() => {
    if (isDue && last) room.markRead(last);
  }, [isDue, last, room]);
  return { isAtEnd, setAtEnd };
}

/** The first message that was not read when somebody came, or came back. It stays where it is while they read. */
export function useUnreadFrom({ messages, unread, state }: RoomSnapshot, myId: string): string | null {
  const [from, setFrom] = useState<string | null>(null);
  const isSeen = useIsSeen();
  const last = messages.at(-1);
  const isKnown = useRef(false);
  const before = useRef<string | null>(null);
  useEffect(() => {
    if (state !== "joined" || isKnown.current || messages.length === 0) return;
    isKnown.current = true;
    if (!unread || unread.unread === 0) return;
    const pointer = unread.readUpTo ?? "";
    const first = messages.find(({ message }) => message.id > pointer && message.sender.id !== myId);
    setFrom(first?.message.id ?? null);
  }, [state, messages, unread, myId]);
  useEffect(() => {
    const isNew = last && before.current !== null && last.key !== before.current;
    before.current = last?.key ?? null;
    if (!isNew) return;
    if (last.message.sender.id === myId) setFrom(null);
    else if (!isSeen) setFrom((now) => now ?? last.message.id);
  }, [last, isSeen, myId]);
  return from;
}
