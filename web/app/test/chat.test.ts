import type { Entry } from "@parlor/sdk";
import { expect, test } from "vitest";
import { firstUnread, rowsOf } from "../src/chat/rows.ts";
import { type Called, isJumbo, linkIn, namesIn, partsOf, wanted } from "../src/chat/text.ts";

const called = (rest: Partial<Called> = {}): Called => ({
  names: new Set(),
  others: false,
  here: false,
  room: false,
  myName: "ada",
  ...rest,
});
const shown = (text: string, rest?: Partial<Called>) =>
  partsOf(text, called(rest)).map(({ kind, text }) => [kind, text]);

test("addresses, names that are called and hashtags are set apart; the rest stays text", () => {
  expect(shown("see https://a.example/b_(c). And <b>&#39;</b>")).toEqual([
    ["text", "see "],
    ["link", "https://a.example/b_(c)"],
    ["text", ". And <b>&#39;</b>"],
  ]);
  expect(shown("javascript:alert(1) http://")).toEqual([["text", "javascript:alert(1) http://"]]);
  expect(shown("hi @Bob and @eve, ada@bob.example", { names: new Set(["bob"]) })).toEqual([
    ["text", "hi "],
    ["mention", "@Bob"],
    ["text", " and @eve, ada@bob.example"],
  ]);
  expect(shown("@here #Über #1 x#no", { here: true })).toEqual([
    ["mention", "@here"],
    ["text", " "],
    ["tag", "#Über"],
    ["text", " #1 x#no"],
  ]);
  expect(partsOf("@ada", called({ names: new Set(["ada"]) }))[0]).toMatchObject({
    kind: "mention",
    me: true,
  });
});

test("a name is completed where one is being written", () => {
  expect(wanted("hi @bo", 6)).toEqual({ from: 3, begin: "bo" });
  expect(wanted("hi @", 4)).toEqual({ from: 3, begin: "" });
  expect(wanted("ada@bo", 6)).toBeNull();
  expect(wanted("@bob done", 9)).toBeNull();
  expect([...namesIn("@Bob, @eve. x@no")]).toEqual(["bob", "eve"]);
});

test("a few emoji alone are large", () => {
  expect(isJumbo("🎉🎉")).toBe(true);
  expect(isJumbo("👩‍👩‍👧")).toBe(true);
  expect(isJumbo("12")).toBe(false);
  expect(isJumbo("well 🎉")).toBe(false);
});

const entry = (id: string, sender: string, at: string, rest: object = {}): Entry => ({
  key: id,
  message: {
    id,
    roomId: "r",
    sender: { id: sender, nickname: sender },
    clientId: id,
    content: { text: id },
    replyTo: null,
    createdAt: at,
    editedAt: null,
    deleted: false,
    ...rest,
  },
  state: "sent",
  error: null,
  code: null,
  waitsUntil: null,
});

test("days, what is unread, groups and how far others have read", () => {
  const entries = [
    entry("m1", "bob", "2026-01-30T12:00:00.000Z"),
    entry("m2", "bob", "2026-01-30T12:01:00.000Z"),
    entry("m3", "ada", "2026-01-31T12:00:00.000Z"),
    entry("m4", "ada", "2026-01-31T12:01:00.000Z", { content: { text: "", threadId: "m1" } }),
    entry("m5", "bob", "2026-01-31T12:20:00.000Z", { content: { text: "", system: { kind: "joined" } } }),
    entry("m6", "bob", "2026-01-31T12:21:00.000Z"),
  ];
  const receipts = [
    { userId: "bob", messageId: "m4", at: "" },
    { userId: "ada", messageId: "m5", at: "" },
  ];
  const rows = rowsOf(entries, { unreadFrom: "m2", receipts, myId: "ada", threads: false });
  expect(
    rows.map((row) => (row.kind === "message" ? `${row.key} ${row.first} ${row.seenBy}` : row.kind)),
  ).toEqual(["day", "m1 true ", "unread", "m2 true ", "day", "m3 true bob", "system", "m6 true "]);
  expect(rowsOf(entries, { unreadFrom: null, receipts: [], myId: "ada", threads: true })).toHaveLength(8);
});

test("the line of what is unread stands before the oldest message that counts and is shown", () => {
  const at = "2026-01-30T12:00:00.000Z";
  const entries = [
    entry("m1", "bob", at),
    entry("m2", "bob", at),
    entry("m3", "bob", at, { content: { text: "", threadId: "m1" } }),
    entry("m4", "bob", at, { content: { type: "system", text: "" } }),
    entry("m5", "bob", at),
    entry("m6", "ada", at),
  ];
  const isCounted = ({ sender, content }: Entry["message"]) =>
    sender.id !== "ada" && content.type !== "system";
  const first = (unread: number, readUpTo: string | null) =>
    firstUnread(entries, { unread, readUpTo }, isCounted);
  expect(first(2, null), "who has no pointer has read what was there before").toBe("m5");
  expect(first(3, "m1")).toBe("m2");
  expect(first(9, "m2")).toBe("m5");
  expect(first(0, "m1")).toBeNull();
});

test("the first address of a text is what it leads to", () => {
  expect(linkIn("look: (https://a.example/b), https://c.example")).toBe("https://a.example/b");
  expect(linkIn("javascript:alert(1) data:text/html,x")).toBeNull();
});

test("who has read up to where is found whatever stands between", () => {
  const at = "2026-01-30T12:00:00.000Z";
  const entries = [entry("m1", "ada", at), entry("m3", "bob", at), entry("m5", "ada", at)];
  const receipts = ["m0", "m2", "m4", "m9"].map((messageId, index) => ({
    userId: ["old", "eve", "bob", "cleo"][index] ?? "",
    messageId,
    at,
  }));
  const rows = rowsOf(entries, { unreadFrom: null, receipts, myId: "ada", threads: false });
  const seen = rows.flatMap((row) => (row.kind === "message" ? [`${row.key} ${row.seenBy}`] : []));
  expect(seen).toEqual(["m1 eve", "m3 ", "m5 cleo"]);
});
