import { expect, test, vi } from "vitest";
import type { Archive } from "../src/archive.js";
import { Marks } from "../src/marks.js";
import type { Message, ServerFrame, Unread, User } from "../src/proto.js";
import { counted, readTo, toldOf, UNREAD } from "../src/reading.js";
import { echoOf, newContentOf } from "../src/writing.js";

const me: User = { id: "me", nickname: "ada", role: "member" };
const message = (id: string, sender: string, rest: Partial<Message> = {}) =>
  ({
    id,
    sender: { id: sender, nickname: sender },
    content: { text: "hi" },
    deleted: false,
    ...rest,
  }) as Message;
const unread = (count: number, readUpTo: string | null = null) =>
  ({ roomId: "r", unread: count, mentions: 0, readUpTo, level: "all", mutedUntil: null }) as Unread;
const arrives = (it: Message) => ({ type: "new_message", data: { message: it } }) as ServerFrame;

test("one's own reactions and votes are asked for once, and then followed", async () => {
  const reactors = vi.fn(async (_: string, emoji: string) =>
    emoji === "👍" ? [{ id: "me", nickname: "ada" }] : [],
  );
  const results = vi.fn(async () => ({ options: [1] }));
  const changed = vi.fn();
  const marks = new Marks({ reactors, results } as unknown as Archive, changed);
  const poll = { question: "?", options: [], multiple: false, closesAt: null, voters: 2 };
  const asked = message("m", "bob", { reactions: { "👍": 2, "🎉": 1 }, content: { text: "?", poll } });
  marks.look(asked, "me");
  marks.look(asked, "me");
  await vi.waitFor(() => expect(changed).toHaveBeenCalledOnce());
  expect([...marks.reactions("m")]).toEqual(["👍"]);
  expect(marks.votes("m")).toEqual([1]);
  expect(reactors).toHaveBeenCalledTimes(2);
  const taken = { messageId: "m", emoji: "👍", userId: "me", added: false, count: 1 };
  expect(marks.follow({ type: "reaction", data: taken } as ServerFrame, "me")).toBe(true);
  expect(marks.reactions("m").size).toBe(0);
  expect(marks.follow({ type: "reaction", data: { ...taken, userId: "bob" } } as ServerFrame, "me")).toBe(
    false,
  );
});

test("messages of others count, mentions too, until they are read or deleted", () => {
  let reading = { ...UNREAD, unread: unread(0, "m1") };
  const hear = (frame: ServerFrame, doomed: Message | null = null) => {
    reading = counted(reading, frame, { me, blocked: new Set(["eve"]) }, doomed) as typeof reading;
  };
  hear(arrives(message("m2", "bob")));
  hear(arrives(message("m3", "bob", { content: { text: "@ada", mentions: { users: ["me"] } } })));
  hear(arrives(message("m4", "me")));
  hear(arrives(message("m5", "bob", { content: { type: "system", text: "bob joined" } })));
  hear(arrives(message("m6", "eve")));
  hear(
    { type: "message_deleted", data: { messageId: "m6", by: "eve" } } as ServerFrame,
    message("m6", "eve"),
  );
  expect(reading.unread).toMatchObject({ unread: 2, mentions: 1 });
  const gone = { type: "message_deleted", data: { messageId: "m2", by: "bob" } } as ServerFrame;
  hear(gone, message("m2", "bob"));
  hear(gone, message("m1", "bob"));
  expect(reading.unread).toMatchObject({ unread: 1, mentions: 1 });
  expect(readTo(reading, "m4").unread).toMatchObject({ unread: 0, mentions: 0, readUpTo: "m4" });
  const at = "2026-01-31T09:30:00.123Z";
  const told = toldOf(toldOf(reading, [{ userId: "bob", messageId: "m4", at }]), [
    { userId: "bob", messageId: "m3", at },
  ]);
  expect(told.receipts.get("bob")?.messageId).toBe("m4");
});

test("what is written is asked for as the server wants it, and shown at once as it will look", () => {
  const file = { fileId: "f", kind: "image", name: "a.png" } as never;
  const pictured = echoOf("r", me, "c", {
    text: "look",
    attachments: [file],
    threadId: "m1",
    expiresInS: 60,
  });
  expect(newContentOf(pictured.content)).toEqual({
    text: "look",
    type: "image",
    attachments: [{ fileId: "f" }],
    threadId: "m1",
  });
  expect(pictured.expiresInS).toBe(60);
  const asked = echoOf("r", me, "c", {
    poll: { question: "Well?", options: [{ text: "yes" }, { text: "no" }] },
  });
  expect(newContentOf(asked.content)).toEqual({
    text: "",
    type: "poll",
    poll: { question: "Well?", options: [{ text: "yes" }, { text: "no" }], multiple: false, closesAt: null },
  });
  const again = echoOf("r", me, "c", { forward: message("m9", "bob", { roomId: "q" }) });
  expect(again.forward).toEqual({ roomId: "q", messageId: "m9" });
  expect(again.content.forwardedFrom?.sender.id).toBe("bob");
});

test("what was seen with nothing put to it is followed and never asked about", async () => {
  const reactors = vi.fn(async () => [{ id: "me", nickname: "ada" }]);
  const marks = new Marks({ reactors } as unknown as Archive, () => undefined);
  const poll = { question: "?", options: [], multiple: false, closesAt: null, voters: 0 };
  marks.look(message("m", "bob", { content: { text: "?", poll } }), "me");
  marks.look(message("m", "bob", { reactions: { "👍": 1 } }), "me");
  await Promise.resolve();
  expect(reactors).not.toHaveBeenCalled();
  // What was missed is asked for again.
  marks.forget();
  marks.look(message("m", "bob", { reactions: { "👍": 1 } }), "me");
  await vi.waitFor(() => expect([...marks.reactions("m")]).toEqual(["👍"]));
});

test("an answer that was read before one's own click does not undo it", async () => {
  let answer: (people: object[]) => void = () => undefined;
  const reactors = () => new Promise((resolve) => (answer = resolve));
  const changed = vi.fn();
  const marks = new Marks({ reactors } as unknown as Archive, changed);
  marks.look(message("m", "bob", { reactions: { "👍": 1 } }), "me");
  await Promise.resolve();
  marks.react("m", "👍", false);
  answer([{ id: "me", nickname: "ada" }]);
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(2));
  expect(marks.reactions("m").size).toBe(0);
});
