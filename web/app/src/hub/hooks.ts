import type {
  CallRecord,
  Direct,
  InboxSnapshot,
  MyRoom,
  Page,
  RingingSnapshot,
  Room,
  Unread,
} from "@parlor/sdk";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { parlor, useSession } from "../session.tsx";

/** What is written in rooms that are not open is told to nobody: it is counted anew this often while the page is seen. */
const COUNT_EVERY_MS = 20_000;

export function useInbox(): InboxSnapshot {
  return useSyncExternalStore(
    useCallback((changed: () => void) => parlor.inbox.on("change", changed), []),
    () => parlor.inbox.snapshot,
  );
}

export function useRinging(): RingingSnapshot {
  return useSyncExternalStore(
    useCallback((changed: () => void) => parlor.ringing.on("change", changed), []),
    () => parlor.ringing.snapshot,
  );
}

/** Keeps what is unread up to date while somebody looks. */
export function useCounting(): void {
  useEffect(() => {
    const count = () => {
      if (!document.hidden && parlor.socket.state === "open")
        void parlor.inbox.refresh().catch(() => undefined);
    };
    const timer = setInterval(count, COUNT_EVERY_MS);
    document.addEventListener("visibilitychange", count);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", count);
    };
  }, []);
}

/** A room that one is in for as long as the component lives. */
export function useJoined(roomId: string): Room | null {
  const [room, setRoom] = useState<Room | null>(null);
  useEffect(() => {
    const joined = parlor.room(roomId);
    joined.join();
    setRoom(joined);
    const leave = () => joined.leave();
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      leave();
      setRoom(null);
    };
  }, [roomId]);
  return room;
}

/** One's own room in the list; null: one does not belong to it, or the lists have not come. */
export function useMine(roomId: string): MyRoom | null {
  return useInbox().rooms.find(({ id }) => id === roomId) ?? null;
}

export function useDirect(roomId: string): Direct | null {
  return useInbox().directs.find(({ room }) => room.id === roomId) ?? null;
}

/** Whether somebody wants to be told of nothing there, always or for now. */
export function isHushed({ level, mutedUntil }: Pick<Unread, "level" | "mutedUntil">): boolean {
  return level === "none" || (mutedUntil !== null && Date.parse(mutedUntil) > Date.now());
}

/** What a conversation is called: its name, or the others in it. */
export function titleOf({ room, people }: Pick<Direct, "room" | "people">, me: string | undefined): string {
  if (room.kind === "groupDm" && room.name) return room.name;
  const others = people.filter(({ userId }) => userId !== me);
  return others.map(({ nickname }) => nickname).join(", ") || room.name;
}

const CALLS = "calls";

/** One's last calls. What ends while one looks is told whole, and stands first. */
export function useCalls() {
  const { user } = useSession();
  const queries = useQueryClient();
  const me = user?.id;
  useEffect(
    () =>
      parlor.ringing.on("call", (call) => {
        if (call.outcome === null) return;
        const queryKey = [CALLS, me];
        const known = queries.getQueryData<Page<CallRecord>>(queryKey);
        if (!known) return void queries.invalidateQueries({ queryKey });
        // A list on its way may be older than this.
        void queries.cancelQueries({ queryKey }).then(() => {
          const others = known.items.filter(({ callId }) => callId !== call.callId);
          queries.setQueryData<Page<CallRecord>>(queryKey, { ...known, items: [call, ...others] });
        });
      }),
    [queries, me],
  );
  return useQuery({
    queryKey: [CALLS, me],
    queryFn: () => parlor.ringing.history(me ?? ""),
    enabled: me !== undefined,
    staleTime: 60_000,
  });
}

/** Whether somebody called this person, who did not answer. */
export function isMissed({ initiator, participants }: CallRecord, me: string | undefined): boolean {
  return initiator.id !== me && participants.some(({ userId, state }) => userId === me && state === "missed");
}

/** Until when one has looked at the calls that one missed. */
const SEEN = "parlor.callsSeen";

export function useMissed(): { missed: number; see: () => void } {
  const { user } = useSession();
  const { data } = useCalls();
  const queries = useQueryClient();
  const key = `${SEEN}.${user?.id ?? ""}`;
  // All that show it share one: what is looked at in one place waits in no other.
  const kept = () => localStorage.getItem(key) ?? "";
  const { data: seen = "" } = useQuery({
    queryKey: [key],
    queryFn: kept,
    initialData: kept,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const latest = data?.items[0]?.startedAt ?? "";
  const see = useCallback(() => {
    if (!latest) return;
    localStorage.setItem(key, latest);
    queries.setQueryData([key], latest);
  }, [key, latest, queries]);
  const missed = data?.items.filter((call) => isMissed(call, user?.id) && call.startedAt > seen).length ?? 0;
  return { missed, see };
}
