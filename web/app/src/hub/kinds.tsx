import type { RoomKind } from "@parlor/sdk";
import { Hash, Megaphone, MessageCircle, MessagesSquare, Radio, Users, Video } from "lucide-react";

const ICONS = {
  dm: MessageCircle,
  groupDm: Users,
  group: Hash,
  forum: MessagesSquare,
  broadcast: Megaphone,
  live: Radio,
  match: Users,
  call: Video,
} as const satisfies Record<RoomKind, typeof Hash>;

/** What kind a room is of, as a picture. */
export function KindIcon({ kind, className = "size-5" }: { kind: RoomKind; className?: string }) {
  const Icon = ICONS[kind];
  return <Icon aria-hidden className={`shrink-0 ${className}`} />;
}

/** Rooms whose page is their text; the call, if they have one, is beside it. */
export function isWritten(kind: RoomKind): boolean {
  return ["dm", "groupDm", "group", "forum", "broadcast"].includes(kind);
}

/** Rooms into whose call people ring each other from a page of text. */
export function rings(kind: RoomKind): boolean {
  return ["dm", "groupDm", "group"].includes(kind);
}
