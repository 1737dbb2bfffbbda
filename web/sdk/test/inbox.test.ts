import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import { DirectMessages } from "../src/direct.js";
import { ParlorError } from "../src/errors.js";
import { Inbox } from "../src/inbox.js";
import type { Direct } from "../src/proto.js";
import { Rooms } from "../src/rooms.js";
import { connect } from "./fake.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const settle = () => vi.advanceTimersByTimeAsync(0);

function direct(id: string, stirredAt: string, accepted = true): Direct {
  const people = [
    { userId: "me", nickname: "ada", accepted },
    { userId: "bob", nickname: "bob", accepted: true },
  ];
  return {
    room: { id, kind: "dm" },
    people,
    request: false,
    lastMessage: null,
    stirredAt,
  } as unknown as Direct;
}

function message(roomId: string, sender: string, content: object = { text: "hello" }) {
  return { id: `m-${roomId}`, roomId, sender: { id: sender, nickname: sender }, content, createdAt: "3" };
}

async function setUp() {
  const { socket, server, back } = await connect();
  const lists: Record<string, unknown[]> = {
    "/rooms/mine": [{ id: "g", role: "member" }],
    "/dms": [direct("one", "2"), direct("two", "1")],
    "/dms/requests": [],
    "/unread": ["g", "one", "two"].map((roomId) => ({ roomId, unread: 0, mentions: 0 })),
  };
  const request = vi.fn(async (_: string, path: string) => ({
    items: lists[path.replace(/\?.*/, "")] ?? [],
    next: null as string | null,
  }));
  const user = { id: "me" };
  const api = { user, request } as unknown as Api;
  const inbox = new Inbox(api, socket, new Rooms(api), new DirectMessages(api));
  await inbox.refresh();
  const unread = (id: string) => inbox.snapshot.unread.get(id);
  return { inbox, server, back, lists, request, unread, user };
}

test("a message counts as it comes, and its conversation goes to the top", async () => {
  const { inbox, server, unread } = await setUp();
  const data = { roomId: "two", kind: "dm", request: false, message: message("two", "bob") };
  server().say({ type: "dm_message", data });
  expect(inbox.snapshot.directs.map(({ room }) => room.id)).toEqual(["two", "one"]);
  expect(unread("two")).toMatchObject({ unread: 1, mentions: 0 });
  // The stream of an open conversation tells the same message.
  server().say({
    type: "new_message",
    roomId: "two",
    epoch: "e",
    offset: 1,
    data: { message: data.message },
  });
  expect(unread("two")).toMatchObject({ unread: 1 });
  server().say({ type: "unread", data: { roomId: "two", unread: 0, mentions: 0 } });
  expect(unread("two")).toMatchObject({ unread: 0 });
});

test("one's own messages do not count, and calls of one's name do twice", async () => {
  const { server, unread } = await setUp();
  const say = (it: object) =>
    server().say({ type: "new_message", roomId: "g", epoch: "e", offset: 1, data: { message: it } });
  say(message("g", "me"));
  expect(unread("g")).toMatchObject({ unread: 0, mentions: 0 });
  say(message("g", "bob", { text: "ada!", mentions: { users: ["me"] } }));
  expect(unread("g")).toMatchObject({ unread: 1, mentions: 1 });
});

test("a stranger's message is fetched as a request, and accepting makes it a conversation", async () => {
  const { inbox, server, lists } = await setUp();
  lists["/dms/requests"] = [{ room: { id: "new" }, from: "eve", people: [], messages: [], stirredAt: "3" }];
  const data = { roomId: "new", kind: "dm", request: true, message: message("new", "eve") };
  server().say({ type: "dm_message", data });
  await settle();
  expect(inbox.snapshot.requests.map(({ room }) => room.id)).toEqual(["new"]);
  server().say({ type: "dm_room", data: direct("new", "4") });
  expect(inbox.snapshot.requests).toEqual([]);
  expect(inbox.snapshot.directs.map(({ room }) => room.id)).toEqual(["new", "one", "two"]);
  server().say({ type: "dm_room", data: direct("new", "4", false) });
  expect(inbox.snapshot.directs.map(({ room }) => room.id)).toEqual(["one", "two"]);
});

test("what is told while the lists are on their way is not lost", async () => {
  const { inbox, server, lists, unread } = await setUp();
  const loading = inbox.refresh();
  server().say({ type: "unread", data: { roomId: "g", unread: 5, mentions: 0 } });
  lists["/unread"] = [{ roomId: "g", unread: 5, mentions: 0 }];
  await loading;
  expect(unread("g")).toMatchObject({ unread: 5 });
});

test("after a login, and when a room changes, all is fetched anew", async () => {
  const { inbox, server, back, lists } = await setUp();
  lists["/rooms/mine"] = [];
  server().say({ type: "removed", roomId: "g", data: { roomId: "g", reason: null } });
  await settle();
  expect(inbox.snapshot.rooms).toEqual([]);
  lists["/rooms/mine"] = [{ id: "h", role: "owner" }];
  server().lose();
  await back(false);
  expect(inbox.snapshot.rooms.map(({ id }) => id)).toEqual(["h"]);
});

test("what the server tells of a room is nothing to be read", async () => {
  const { server, unread } = await setUp();
  const told = message("g", "bob", { type: "system", text: "" });
  server().say({ type: "new_message", roomId: "g", epoch: "e", offset: 1, data: { message: told } });
  expect(unread("g")).toMatchObject({ unread: 0 });
});

test("whoever comes in while the lists of another are on their way gets their own", async () => {
  const { inbox, lists, user } = await setUp();
  lists["/rooms/mine"] = [{ id: "first", role: "member" }];
  const loading = inbox.refresh();
  user.id = "you";
  lists["/rooms/mine"] = [{ id: "second", role: "member" }];
  await loading;
  expect(inbox.snapshot.rooms.map(({ id }) => id)).toEqual(["second"]);
});

test("where there are no direct messages, the rooms are there all the same", async () => {
  const { inbox, request } = await setUp();
  request.mockImplementation(async (_, path) => {
    if (path.startsWith("/dms")) throw new ParlorError("feature_off", "This is not offered here.");
    return { items: path.startsWith("/rooms") ? [{ id: "g", role: "member" }] : [], next: null } as never;
  });
  await inbox.refresh();
  expect(inbox.snapshot).toMatchObject({ ready: true, directs: [], requests: [] });
  expect(inbox.snapshot.rooms.map(({ id }) => id)).toEqual(["g"]);
});
