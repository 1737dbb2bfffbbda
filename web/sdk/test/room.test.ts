import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import { Room } from "../src/room.js";
import { Socket } from "../src/socket.js";
import { FakeSocket } from "./fake.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tick = () => vi.advanceTimersByTimeAsync(0);

const message = (id: string, text: string, clientId: string | null = null, sender = "bob") => ({
  id,
  roomId: "r",
  sender: { id: sender, nickname: sender },
  clientId,
  content: { text },
  replyTo: null,
  createdAt: "2026-01-31T09:30:00.123Z",
  editedAt: null,
  deleted: false,
});

const state = (offset: number, messages: object[] = [], recovered: boolean | null = null, epoch = "e") => ({
  type: "room_state",
  roomId: "r",
  epoch,
  offset,
  data: {
    room: { id: "r", kind: "call", name: "Friday", visibility: "public", maxParticipants: 50, createdAt: "" },
    you: { role: "owner" },
    members: [],
    online: 1,
    messages,
    recovered,
    call: null,
  },
});

const event = (offset: number, type: string, data: object, id?: string) => ({
  type,
  roomId: "r",
  epoch: "e",
  offset,
  id,
  data,
});

async function setUp() {
  const opened: FakeSocket[] = [];
  const socket = new Socket({
    url: "ws://test/ws",
    token: async () => "T",
    invalidate: () => undefined,
    random: () => 1,
    open: () => {
      const fake = new FakeSocket();
      opened.push(fake);
      return fake as unknown as WebSocket;
    },
  });
  const room = new Room("r", socket, {
    user: { id: "me", nickname: "ada", role: "member" },
  } as unknown as Api);
  socket.connect();
  await tick();
  const server = () => opened.at(-1) as FakeSocket;
  server().login();
  await tick();
  room.join();
  server().answer("join_room", state(41, [message("m1", "hello")]));
  await tick();
  const texts = () =>
    room.snapshot.messages.map(
      (entry) => `${entry.message.content.text}${entry.state === "sent" ? "" : ` (${entry.state})`}`,
    );
  return { room, server, texts };
}

test("the echo shows at once and is replaced by the server's own, under the same key", async () => {
  const { room, server, texts } = await setUp();
  room.send("hi");
  expect(texts()).toEqual(["hello", "hi (sending)"]);
  const key = room.snapshot.messages[1]?.key;
  await tick();
  const { clientId } = server().last("send_message").data as { clientId: string };
  server().answer("send_message", event(42, "new_message", { message: message("m2", "hi", clientId, "me") }));
  await tick();
  expect(texts()).toEqual(["hello", "hi"]);
  expect(room.snapshot.messages[1]?.key).toBe(key);
});

test("what is written without a connection is sent in order when it is back, and nothing twice", async () => {
  const { room, server, texts } = await setUp();
  room.send("one");
  await tick();
  const first = server().last("send_message").data as { clientId: string };
  server().lose();
  room.send("two");
  expect(texts()).toEqual(["hello", "one (sending)", "two (sending)"]);
  await vi.advanceTimersByTimeAsync(500);
  server().login(true);
  await tick();
  expect(server().of("join_room")[0]?.data).toEqual({ roomId: "r", epoch: "e", offset: 41 });
  server().answer("join_room", state(42, [], true));
  await tick();
  // The first one had been committed: it comes as a missed event, and again as the answer to the second sending.
  const one = message("m2", "one", first.clientId, "me");
  server().say(event(42, "new_message", { message: one }));
  await tick();
  const sent = server().of("send_message");
  for (const { data } of sent.filter((frame) => frame.data.clientId === first.clientId)) {
    expect(data.content).toEqual({ text: "one" });
    // That answer stands outside the stream.
    server().answer("send_message", { type: "new_message", roomId: "r", data: { message: one } });
    await tick();
  }
  const second = server().last("send_message").data as { clientId: string };
  server().answer(
    "send_message",
    event(43, "new_message", { message: message("m3", "two", second.clientId, "me") }),
  );
  await tick();
  expect(texts()).toEqual(["hello", "one", "two"]);
});

test("a missing event makes the room join again with its position", async () => {
  const { server, texts } = await setUp();
  server().say(event(43, "new_message", { message: message("m3", "three") }));
  expect(server().of("join_room")[1]?.data).toEqual({ roomId: "r", epoch: "e", offset: 41 });
  // What comes meanwhile is dropped: it comes again.
  server().say(event(44, "new_message", { message: message("m4", "four") }));
  server().answer("join_room", state(44, [], true));
  await tick();
  for (const [offset, text] of [
    [42, "two"],
    [43, "three"],
    [44, "four"],
  ] as const) {
    server().say(event(offset, "new_message", { message: message(`m${offset}`, text) }));
  }
  expect(texts()).toEqual(["hello", "two", "three", "four"]);
});

test("too much missed, or another epoch: the fresh state replaces all", async () => {
  const { room, server, texts } = await setUp();
  server().lose();
  await vi.advanceTimersByTimeAsync(500);
  server().login();
  await tick();
  server().answer("join_room", state(3, [message("n1", "new")], false, "f"));
  await tick();
  expect(texts()).toEqual(["new"]);
  server().say({ ...event(4, "new_message", { message: message("n2", "newer") }), epoch: "f" });
  expect(texts()).toEqual(["new", "newer"]);
  expect(room.snapshot.state).toBe("joined");
});

test("edits and deletions change the message in its place", async () => {
  const { room, server, texts } = await setUp();
  server().say(
    event(42, "message_edited", {
      message: { ...message("m1", "hullo"), editedAt: "2026-01-31T09:31:00.000Z" },
    }),
  );
  expect(texts()).toEqual(["hullo"]);
  server().say(event(43, "message_deleted", { messageId: "m1", by: "bob" }));
  expect(room.snapshot.messages[0]?.message.deleted).toBe(true);
});

test("a refused message says why and waits for its author; a hasty one is sent again later", async () => {
  const { room, server, texts } = await setUp();
  room.send("too long");
  await tick();
  server().answer("send_message", {
    type: "error",
    data: { code: "message_too_long", message: "Too long.", detail: {} },
  });
  await tick();
  expect(texts()).toEqual(["hello", "too long (failed)"]);
  expect(room.snapshot.messages[1]?.error).toBe("Too long.");
  room.discard(room.snapshot.messages[1]?.message.clientId ?? "");
  room.send("hasty");
  await tick();
  server().answer("send_message", {
    type: "error",
    data: { code: "rate_limited", message: "Wait.", retryAfterMs: 3000, detail: {} },
  });
  await vi.advanceTimersByTimeAsync(3000);
  expect(server().of("send_message")).toHaveLength(3);
});

test("a removed member is told, and does not come back", async () => {
  const { room, server } = await setUp();
  server().say({ type: "removed", roomId: "r", data: { roomId: "r", reason: "spam" } });
  expect(room.snapshot.state).toBe("removed");
  expect(room.snapshot.reason?.message).toBe("spam");
  server().lose();
  await vi.advanceTimersByTimeAsync(500);
  server().login();
  await tick();
  expect(server().of("join_room")).toHaveLength(0);
});

test("typing is shown until it is five seconds old or the message is there", async () => {
  const { room, server } = await setUp();
  server().say({ type: "typing", roomId: "r", data: { userId: "bob", nickname: "bob", typing: true } });
  expect(room.snapshot.typing).toEqual(["bob"]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(room.snapshot.typing).toEqual([]);
});
