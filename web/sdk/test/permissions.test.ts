/// <reference types="vite/client" />
import { expect, test } from "vitest";
/** The server's table as its own test prints it: per action what owner … member may, then who is outside of the room. */
import PRINTED from "../../../src/domain/snapshots/parlor__domain__role__tests__the_permission_table.snap?raw";
import { ACTIONS, may, outranks, ROLES, rolesToGive, type Standing } from "../src/permissions.js";
import type { Role, SiteRole } from "../src/proto.js";

const SITE: readonly SiteRole[] = ["member", "moderator", "administrator"];

test("the page's table is the server's", () => {
  const lines = PRINTED.split("\n");
  for (const action of ACTIONS) {
    const line = lines.find((it) => it.startsWith(`${action} `));
    expect(line, action).toBeDefined();
    const [inside = "", outside = ""] = (line ?? "").split("|");
    const words = inside.trim().split(/\s+/).slice(1);
    const others = outside.trim().split(/\s+/);
    const roles = ["owner", "admin", "moderator", "trusted", "member"] as const;
    for (const [index, room] of roles.entries())
      expect(may({ room, site: "member" }, action), `${room} ${action}`).toBe(words[index] === "yes");
    for (const [index, site] of SITE.entries())
      expect(may({ room: null, site }, action), `${site} outside ${action}`).toBe(others[index] === "yes");
  }
});

test("a room narrows the table and never widens it", () => {
  const narrow = {
    post: "moderator",
    call: "trusted",
    share: "member",
    record: "moderator",
    invite: "owner",
  } as const;
  const as = (room: Role): Standing => ({ room, site: "member" });
  expect(may(as("trusted"), "SendMessage", narrow)).toBe(false);
  expect(may(as("moderator"), "SendMessage", narrow)).toBe(true);
  expect(may(as("trusted"), "JoinCall", narrow)).toBe(true);
  expect(may(as("admin"), "Invite", narrow)).toBe(false);
  expect(may(as("member"), "KickMember", narrow)).toBe(false);
});

test("one acts on those below, and gives roles below one's own", () => {
  const admin: Standing = { room: "admin", site: "member" };
  expect(outranks(admin, "moderator")).toBe(true);
  expect(outranks(admin, "admin")).toBe(false);
  expect(outranks({ room: null, site: "moderator" }, "owner")).toBe(true);
  expect(rolesToGive(admin, "member")).toEqual(["trusted", "moderator"]);
  expect(rolesToGive({ room: "moderator", site: "member" }, "member")).toEqual([]);
  expect(rolesToGive({ room: "owner", site: "member" }, "admin")).toEqual(
    ROLES.filter((role) => role !== "owner" && role !== "admin"),
  );
});
