import type { Member, Role, SiteRole } from "@parlor/sdk";

// The server decides; this only keeps buttons away that it would refuse. Its table is in src/domain/role.rs.
const ROOM: readonly Role[] = ["member", "trusted", "moderator", "admin", "owner"];

/** What one may do to another member of the same room. */
export interface Rights {
  mute: boolean;
  remove: boolean;
  /** Make them a moderator, or a member again. */
  setRole: boolean;
}

export const NONE: Rights = { mute: false, remove: false, setRole: false };

export function rank(role: Role): number {
  return ROOM.indexOf(role);
}

/** Whether one keeps order here: in this room, or on the whole site. */
export function keepsOrder(role: Role, site: SiteRole): boolean {
  return site !== "member" || rank(role) >= rank("moderator");
}

/** Whether one may end the call for everybody. */
export function mayEnd(role: Role, site: SiteRole): boolean {
  return site !== "member" || rank(role) >= rank("admin");
}

export function rightsOver(member: Member, role: Role, site: SiteRole): Rights {
  if (!keepsOrder(role, site)) return NONE;
  const staff = site !== "member";
  const above = staff || rank(role) > rank(member.role);
  return {
    mute: staff || rank(role) >= rank(member.role),
    remove: above,
    setRole: above && (site === "administrator" || rank(role) >= rank("admin")),
  };
}
