import { useQuery } from "@tanstack/react-query";
import { useInbox } from "../hub/hooks.ts";
import type { Person } from "../safety/Safety.tsx";
import { parlor, useSession } from "../session.tsx";

/** The rooms whose members are looked at; the newest come first. */
const MOST_ROOMS = 20;

/** People whom one has met: in conversations, and in one's rooms. */
export function useKnown(): { people: Person[]; isPending: boolean } {
  const { user } = useSession();
  const { directs, rooms } = useInbox();
  const ids = rooms.slice(0, MOST_ROOMS).map(({ id }) => id);
  const members = useQuery({
    queryKey: ["known", ids],
    queryFn: async () => {
      const lists = await Promise.allSettled(ids.map((id) => parlor.members.list(id)));
      return lists.flatMap((list) => (list.status === "fulfilled" ? list.value.items : []));
    },
    staleTime: 30_000,
  });
  const known = new Map<string, Person>();
  for (const { userId, nickname } of [...directs.flatMap((direct) => direct.people), ...(members.data ?? [])])
    if (userId !== user?.id) known.set(userId, { userId, nickname });
  return {
    people: [...known.values()].sort((a, b) => a.nickname.localeCompare(b.nickname)),
    isPending: members.isPending,
  };
}
