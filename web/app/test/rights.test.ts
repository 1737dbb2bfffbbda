import type { Role } from "@parlor/sdk";
import { expect, test } from "vitest";
import { keepsOrder, mayEnd, NONE, rightsOver } from "../src/call/rights.ts";

const of = (role: Role) => ({ userId: "u", nickname: "u", role });

test("a member has no rights over others", () => {
  expect(rightsOver(of("member"), "member", "member")).toEqual(NONE);
  expect(rightsOver(of("member"), "trusted", "member")).toEqual(NONE);
  expect(keepsOrder("trusted", "member")).toBe(false);
});

test("a moderator keeps order, but not over equals, and gives no roles", () => {
  expect(rightsOver(of("member"), "moderator", "member")).toEqual({
    mute: true,
    remove: true,
    setRole: false,
  });
  expect(rightsOver(of("moderator"), "moderator", "member")).toEqual({
    mute: true,
    remove: false,
    setRole: false,
  });
  expect(rightsOver(of("owner"), "moderator", "member")).toEqual(NONE);
});

test("the owner gives roles, and so does the site's administrator", () => {
  expect(rightsOver(of("admin"), "owner", "member")).toEqual({ mute: true, remove: true, setRole: true });
  expect(rightsOver(of("owner"), "member", "administrator")).toEqual({
    mute: true,
    remove: true,
    setRole: true,
  });
  expect(rightsOver(of("owner"), "member", "moderator")).toEqual({
    mute: true,
    remove: true,
    setRole: false,
  });
});

test("the call is ended for all by its owner, admins and the site's moderators", () => {
  expect(mayEnd("moderator", "member")).toBe(false);
  expect(mayEnd("admin", "member")).toBe(true);
  expect(mayEnd("member", "moderator")).toBe(true);
});
