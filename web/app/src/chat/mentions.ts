import type { Member, Mentions, Room } from "@parlor/sdk";
import { parlor } from "../session.tsx";
import { namesIn } from "./text.ts";

/** How long a message waits for the list of whom it may call. */
const PATIENCE_MS = 4_000;

/** Whom one may call. */
export interface Callable {
  userId: string;
  nickname: string;
  online: boolean;
}

/** Everybody who belongs to the room, as far as one page of the list names them; whoever is there is known anyway. */
export async function callable(members: readonly Member[], room: Room): Promise<Callable[]> {
  const here = members.map(({ userId, nickname }) => ({ userId, nickname, online: true }));
  const asked = parlor.members.list(room.id).then(
    ({ items }) => items,
    () => [],
  );
  const all = await Promise.race([asked, late()]);
  const known = new Set(here.map(({ userId }) => userId));
  return [...here, ...all.filter(({ userId }) => !known.has(userId))];
}

/** Nobody more, where the network keeps one waiting: the message goes without them. */
function late(): Promise<Callable[]> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, []));
}

/** Whom a text calls. The list is asked only when a name stands there that nobody here has. */
export async function mentionsOf(text: string, members: readonly Member[], room: Room): Promise<Mentions> {
  const names = namesIn(text);
  const isCalled = ({ nickname }: { nickname: string }) => names.has(nickname.toLowerCase());
  const special = { here: names.has("here"), room: names.has("room") };
  if (names.size === 0) return {};
  const here = members.filter(isCalled);
  const isWhole = here.length + (special.here ? 1 : 0) + (special.room ? 1 : 0) === names.size;
  const people = isWhole ? here : (await callable(members, room)).filter(isCalled);
  const mayCallAll = room.snapshot.role !== "member" && room.snapshot.role !== "trusted";
  return {
    users: people.map(({ userId }) => userId),
    ...(mayCallAll && special.here ? { here: true } : {}),
    ...(mayCallAll && special.room ? { room: true } : {}),
  };
}
