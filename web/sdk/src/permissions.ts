import type { Permits, Role, SiteRole } from "./proto.js";

/** From the least to the most. */
export const ROLES: readonly Role[] = ["member", "trusted", "moderator", "admin", "owner"];
const SITE_ROLES: readonly SiteRole[] = ["member", "moderator", "administrator"];

/** Per action: the least role in the room, and the least on the site; either is enough. */
const TABLE = {
  SendMessage: ["member", null],
  JoinCall: ["member", null],
  Invite: ["member", null],
  ListMembers: ["member", "moderator"],
  SeeInvites: ["moderator", "moderator"],
  AnswerRequests: ["moderator", null],
  KickMember: ["moderator", "moderator"],
  MuteMember: ["moderator", "moderator"],
  RemoveMember: ["moderator", "moderator"],
  SetMemberRole: ["admin", "administrator"],
  EditRoom: ["admin", "administrator"],
  TransferRoom: ["owner", "administrator"],
  ArchiveRoom: ["owner", "administrator"],
  DeleteRoom: ["owner", "administrator"],
} as const satisfies Record<string, readonly [Role, SiteRole | null]>;

/** What a page shows or hides. The server decides; its table is in `src/domain/role.rs`, and a test compares the two. */
export type Action = keyof typeof TABLE;
export const ACTIONS = Object.keys(TABLE) as Action[];

/** What a person is who wants to do something. */
export interface Standing {
  /** In the room; null outside of it. */
  room: Role | null;
  /** On the site. */
  site: SiteRole;
}

/** What the owners of a room may narrow. */
const NARROWED: Partial<Record<Action, keyof Permits>> = {
  SendMessage: "post",
  JoinCall: "call",
  Invite: "invite",
};

/** Whether the server would allow it, in a room with these permits. */
export function may(who: Standing, action: Action, permits?: Permits): boolean {
  const [room, site] = TABLE[action];
  const narrowed = NARROWED[action];
  const least = narrowed && permits ? permits[narrowed] : "member";
  const inRoom = who.room !== null && rank(who.room) >= Math.max(rank(room), rank(least));
  return inRoom || (site !== null && SITE_ROLES.indexOf(who.site) >= SITE_ROLES.indexOf(site));
}

/** Whether one stands above a member of the same room, as kicks, mutes, bans and roles demand. Their role on the site is not known
 * to a page: the server may still refuse. */
export function outranks(who: Standing, other: Role): boolean {
  return who.site !== "member" || (who.room !== null && rank(who.room) > rank(other));
}

/** The roles that one may give to somebody of this role: those below one's own. */
export function rolesToGive(who: Standing, other: Role): Role[] {
  if (!may(who, "SetMemberRole") || !outranks(who, other)) return [];
  const below = who.site === "administrator" ? rank("owner") : who.room === null ? 0 : rank(who.room);
  return ROLES.filter((role) => role !== other && rank(role) < below);
}

function rank(role: Role): number {
  return ROLES.indexOf(role);
}
