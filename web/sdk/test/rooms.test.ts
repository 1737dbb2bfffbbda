import { expect, test, vi } from "vitest";
import { Api } from "../src/api.js";
import { DirectMessages } from "../src/direct.js";
import { Invites } from "../src/invites.js";
import { Members } from "../src/members.js";
import type { Room } from "../src/proto.js";
import { Rooms } from "../src/rooms.js";

function setUp(answer: unknown = { items: [], rooms: [], next: null }) {
  const request = vi.fn(async (..._: unknown[]) => answer);
  const api = { request } as unknown as Api;
  return {
    rooms: new Rooms(api),
    invites: new Invites(api),
    members: new Members(api),
    direct: new DirectMessages(api),
    asked: () => request.mock.calls,
  };
}

test("each act about a room has its call", async () => {
  const { rooms, asked } = setUp();
  await rooms.find();
  await rooms.find({ query: "chess & go", category: "games", kind: "forum", cursor: "c", limit: 10 });
  await rooms.categories();
  await rooms.mine();
  await rooms.look("r");
  await rooms.join("r");
  await rooms.join("r", "2468");
  await rooms.leave("r");
  await rooms.transfer("r", "u");
  await rooms.archive("r", true);
  await rooms.delete("r");
  expect(asked()).toEqual([
    ["GET", "/rooms"],
    ["GET", "/rooms?query=chess+%26+go&category=games&kind=forum&cursor=c&limit=10"],
    ["GET", "/rooms/categories"],
    ["GET", "/rooms/mine?limit=100"],
    ["GET", "/rooms/r"],
    ["POST", "/rooms/r/join", {}],
    ["POST", "/rooms/r/join", { pin: "2468" }],
    ["POST", "/rooms/r/leave"],
    ["PUT", "/rooms/r/owner", { userId: "u" }],
    ["PUT", "/rooms/r/archived", { archived: true }],
    ["DELETE", "/rooms/r"],
  ]);
});

test("a change names the revision that was seen", async () => {
  const fetched = vi.fn(async (_path: RequestInfo | URL, _init?: RequestInit) => new Response("{}"));
  await new Rooms(new Api("", fetched)).edit({ id: "r", revision: 7 } as Room, { slowModeS: 5, pin: null });
  const [path, init] = fetched.mock.calls.at(-1) ?? [];
  expect(path).toBe("/api/v1/rooms/r");
  expect(init?.headers).toMatchObject({ "if-match": '"7"' });
  expect(init?.body).toBe('{"slowModeS":5,"pin":null}');
});

test("each act about ways in and members has its call", async () => {
  const { invites, members, asked } = setUp();
  await invites.make("r", { maxUses: 1 });
  await invites.list("r");
  await invites.revoke("r", "i");
  await invites.accept("a/b");
  await invites.ask("r", "please");
  await invites.requests("r");
  await invites.answer("r", "u", true);
  await invites.answer("r", "u", false);
  await members.list("r");
  await members.setRole("r", "u", "moderator");
  await members.kick("r", "u", "enough");
  await members.mute("r", "u", null);
  await members.ban("r", "u", "", "2026-01-01T00:00:00.000Z");
  await members.unban("r", "u");
  await members.bans("r", "next");
  expect(asked()).toEqual([
    ["POST", "/rooms/r/invites", { maxUses: 1 }],
    ["GET", "/rooms/r/invites"],
    ["DELETE", "/rooms/r/invites/i"],
    ["POST", "/invites/a%2Fb/accept"],
    ["POST", "/rooms/r/requests", { note: "please" }],
    ["GET", "/rooms/r/requests"],
    ["POST", "/rooms/r/requests/u/approve"],
    ["POST", "/rooms/r/requests/u/deny"],
    ["GET", "/rooms/r/roster?limit=100"],
    ["PUT", "/rooms/r/members/u/role", { role: "moderator" }],
    ["POST", "/rooms/r/members/u/kick", { reason: "enough" }],
    ["PUT", "/rooms/r/members/u/mute", { until: null }],
    ["PUT", "/rooms/r/bans/u", { until: "2026-01-01T00:00:00.000Z" }],
    ["DELETE", "/rooms/r/bans/u"],
    ["GET", "/rooms/r/bans?cursor=next"],
  ]);
});

test("each act about conversations has its call", async () => {
  const { direct, asked } = setUp({ items: [], next: null, declined: 2, from: "nobody" });
  await direct.open("u");
  await direct.group(["u", "v"]);
  await direct.list("c");
  await direct.bring("r", "w");
  await direct.rename("r", "three");
  await direct.leave("r");
  await direct.requests();
  await direct.accept("r");
  await direct.decline("r", { block: true });
  expect(await direct.declineAll()).toBe(2);
  expect(await direct.takenFrom()).toBe("nobody");
  await direct.takeFrom("sharesRoom");
  expect(asked()).toEqual([
    ["POST", "/dms", { userId: "u" }],
    ["POST", "/dms/groups", { userIds: ["u", "v"] }],
    ["GET", "/dms?after=c&limit=100"],
    ["POST", "/dms/r/people", { userId: "w" }],
    ["PATCH", "/dms/r", { name: "three" }],
    ["POST", "/dms/r/leave"],
    ["GET", "/dms/requests?limit=100"],
    ["POST", "/dms/requests/r/accept"],
    ["POST", "/dms/requests/r/decline", { block: true }],
    ["POST", "/dms/requests/decline"],
    ["GET", "/users/me/direct"],
    ["PUT", "/users/me/direct", { from: "sharesRoom" }],
  ]);
});
