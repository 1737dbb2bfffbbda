import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import { Room } from "../src/room.js";
import type { Keep } from "../src/shelf.js";
import { Socket } from "../src/socket.js";
import { FakeSocket } from "./fake.js";
import { ScriptedRoom, seeded } from "./scripted.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const SEEDS = 150;
const STEPS = 60;

/** A keep like `localStorage`. */
function keepOf(): Keep & { items: Map<string, string> } {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/** A page: one socket, one room. Its server is the script, which answers when it is told to. */
class Page {
  readonly room: Room;
  readonly #socket: Socket;
  readonly #server: ScriptedRoom;
  readonly #opened: FakeSocket[] = [];
  #logged = 0;

  constructor(server: ScriptedRoom, keep: Keep, random: () => number) {
    this.#server = server;
    this.#socket = new Socket({
      url: "ws://test/ws",
      token: async () => "T",
      invalidate: () => undefined,
      random,
      open: () => {
        const fake = new FakeSocket();
        this.#opened.push(fake);
        return fake as unknown as WebSocket;
      },
    });
    const api = { user: { id: "me", nickname: "ada", role: "member" } } as unknown as Api;
    this.room = new Room("r", this.#socket, api, keep);
    this.#socket.connect();
    this.room.join();
  }

  /** Lets the client and the server work for a while. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += 50) {
      await vi.advanceTimersByTimeAsync(50);
      const socket = this.#opened.at(-1);
      if (socket && this.#logged < this.#opened.length) {
        this.#logged = this.#opened.length;
        socket.login(false);
        await vi.advanceTimersByTimeAsync(0);
      }
      if (socket) this.#server.serve(socket);
      await vi.advanceTimersByTimeAsync(0);
    }
  }

  /** The connection breaks; the server may have read what was written last. */
  lose(heard: boolean, code: number): void {
    const socket = this.#opened.at(-1);
    if (!socket || this.#logged < this.#opened.length) return;
    if (heard) this.#server.serve(socket);
    this.#server.forget(socket);
    socket.lose(code);
  }

  /** The page goes away without a word. */
  close(): void {
    this.lose(false, 1006);
    this.room.leave();
    this.#socket.close();
  }

  shown(): string[] {
    return this.room.snapshot.messages.map(
      ({ message, state }) =>
        `${message.clientId} ${message.deleted ? "gone" : message.content.text} ${state}`,
    );
  }
}

const wait = { code: "rate_limited", message: "Wait.", retryAfterMs: 700, detail: { limit: "message" } };
const broken = { code: "internal", message: "Our fault.", detail: {} };

test.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
  "whatever the network does, the client ends with what the server has (seed %i)",
  async (seed) => {
    const random = seeded(seed);
    const chance = (share: number) => random() < share;
    const server = new ScriptedRoom();
    const keep = keepOf();
    const written: string[] = [];
    let page = new Page(server, keep, random);
    const [loss, doubled, held] = [random() * 0.3, random() * 0.3, random() * 0.3];
    server.fate = () => (chance(loss) ? "lost" : chance(doubled) ? "twice" : chance(held) ? "late" : "now");
    server.refuses = () => (chance(0.05) ? wait : chance(0.03) ? broken : null);
    const others = () => server.messages.filter((message) => !message.deleted);
    for (let step = 0; step < STEPS; step++) {
      const roll = random();
      if (roll < 0.3) {
        const clientId = page.room.send(`mine ${step}`);
        if (clientId) written.push(clientId);
      } else if (roll < 0.5) server.say("bob", `b-${step}`, `his ${step}`);
      else if (roll < 0.58) {
        const [message] = others().slice(-3);
        if (message) server.edit(message, `edited ${step}`);
      } else if (roll < 0.63) {
        const [message] = others().slice(-3);
        if (message) server.delete(message);
      } else if (roll < 0.73) page.lose(chance(0.5), chance(0.5) ? 1006 : 4429);
      else if (roll < 0.75) server.begin();
      else if (roll < 0.77) {
        // A reload: what was on its way is kept, and known by its old name.
        page.close();
        page = new Page(server, keep, random);
      }
      if (chance(0.5)) server.deliverLate(random);
      await page.run(chance(0.2) ? 2_000 : 50);
    }
    // The network is well again. Whatever the last moments lost is found when the next thing happens.
    server.fate = () => "now";
    server.refuses = () => null;
    server.deliverLate(random);
    await page.run(40_000);
    page.lose(false, 1006);
    await page.run(40_000);
    const clientIds = server.messages
      .filter(({ sender }) => sender.id === "me")
      .map(({ clientId }) => clientId);
    expect([...clientIds].sort(), "nothing is lost or doubled").toEqual([...written].sort());
    const shown = page.shown();
    const stored = server.messages.map(
      (it) => `${it.clientId} ${it.deleted ? "gone" : it.content.text} sent`,
    );
    expect(shown, "the client shows what the server has").toEqual(stored.slice(-shown.length));
    expect(shown.length).toBeGreaterThanOrEqual(Math.min(stored.length, 50));
    expect(keep.items.size, "nothing is kept that has arrived").toBe(0);
    page.close();
  },
);

test("mine arrive in the order they were written, even after a reload without a connection", async () => {
  const server = new ScriptedRoom();
  const keep = keepOf();
  const first = new Page(server, keep, () => 1);
  for (const text of ["one", "two", "three"]) first.room.send(text);
  first.room.draft = "fou";
  first.close();
  const second = new Page(server, keep, () => 1);
  expect(second.room.draft).toBe("fou");
  expect(second.room.snapshot.messages.map(({ message, state }) => [message.content.text, state])).toEqual([
    ["one", "sending"],
    ["two", "sending"],
    ["three", "sending"],
  ]);
  await second.run(1_000);
  expect(server.messages.map(({ content }) => content.text)).toEqual(["one", "two", "three"]);
  second.room.send("something else");
  expect(second.room.draft, "what is being written stays").toBe("fou");
  second.room.draft = "four ";
  second.room.send("four");
  expect(second.room.draft).toBe("");
  await second.run(100);
  expect(keep.items.size).toBe(0);
});

test("somebody else on the same device does not send what the last one wrote", async () => {
  const keep = keepOf();
  const server = new ScriptedRoom();
  const page = new Page(server, keep, () => 1);
  page.room.send("hers");
  page.close();
  const socket = new Socket({ url: "ws://test/ws", token: async () => null, invalidate: () => undefined });
  const api = { user: { id: "eve", nickname: "eve", role: "member" } } as unknown as Api;
  expect(new Room("r", socket, api, keep).snapshot.messages).toEqual([]);
});

test("when too many wait, the text stays with its author", async () => {
  const server = new ScriptedRoom();
  const page = new Page(server, keepOf(), () => 1);
  const ids = Array.from({ length: 101 }, (_, number) => page.room.send(`text ${number}`));
  expect(ids.filter((id) => id === null)).toHaveLength(1);
  expect(page.room.draft).toBe("text 100");
  await page.run(20_000);
  expect(server.messages).toHaveLength(100);
});

test("a refused message is told with its reason, stays, and goes under its old name when asked again", async () => {
  const server = new ScriptedRoom();
  const page = new Page(server, keepOf(), () => 1);
  await page.run(100);
  const refused = vi.fn();
  page.room.on("refused", refused);
  server.refuses = () => ({ code: "message_too_long", message: "Too long.", detail: { limit: 4 } });
  const clientId = page.room.send("hello") ?? "";
  await page.run(100);
  expect(refused.mock.calls[0]?.[0]).toMatchObject({
    clientId,
    error: { code: "message_too_long", detail: { limit: 4 } },
  });
  expect(page.shown()).toEqual([`${clientId} hello failed`]);
  server.refuses = () => null;
  page.room.retry(clientId);
  await page.run(100);
  expect(page.shown()).toEqual([`${clientId} hello sent`]);
  expect(server.messages[0]?.clientId).toBe(clientId);
});

test("what was refused for good waits for its author, over a reload too", async () => {
  const server = new ScriptedRoom();
  const keep = keepOf();
  const first = new Page(server, keep, () => 1);
  await first.run(100);
  server.refuses = () => ({ code: "thread_locked", message: "Locked.", detail: {} });
  const clientId = first.room.send("hello") ?? "";
  await first.run(100);
  first.close();
  server.refuses = () => null;
  const second = new Page(server, keep, () => 1);
  await second.run(1_000);
  expect(second.shown()).toEqual([`${clientId} hello failed`]);
  expect(second.room.snapshot.messages[0]).toMatchObject({ code: "thread_locked", error: "Locked." });
  expect(server.messages).toEqual([]);
  second.room.retry(clientId);
  await second.run(100);
  expect(second.shown()).toEqual([`${clientId} hello sent`]);
  expect(keep.items.size).toBe(0);
});

test("two tabs of a room keep what each of them has not sent", async () => {
  const keep = keepOf();
  const [one, other] = [new ScriptedRoom(), new ScriptedRoom()].map((it) => new Page(it, keep, () => 1));
  one?.room.send("here");
  other?.room.send("there");
  await one?.run(1_000);
  one?.close();
  other?.close();
  const texts = new Page(new ScriptedRoom(), keep, () => 1).room.snapshot.messages.map(
    ({ message }) => message.content.text,
  );
  expect(texts).toEqual(["there"]);
});

test("who comes in on the same page, with nothing kept, neither sends nor sees what was the former one's", async () => {
  const opened: FakeSocket[] = [];
  const socket = new Socket({
    url: "ws://test/ws",
    token: async () => "T",
    invalidate: () => undefined,
    open: () => {
      opened.push(new FakeSocket());
      return opened.at(-1) as unknown as WebSocket;
    },
  });
  const api = { user: { id: "ada", nickname: "ada", role: "member" } } as unknown as Api;
  const room = new Room("r", socket, api);
  room.send("hers");
  room.marks.react("m1", "👍", true);
  socket.connect();
  await vi.advanceTimersByTimeAsync(0);
  opened.at(-1)?.login();
  await vi.advanceTimersByTimeAsync(0);
  expect(room.me?.id).toBe("me");
  expect(room.snapshot.messages).toEqual([]);
  expect(room.marks.reactions("m1").size).toBe(0);
});

test("what has to wait for long lets the others go once its author gives it up", async () => {
  const server = new ScriptedRoom();
  const page = new Page(server, keepOf(), () => 1);
  await page.run(100);
  server.refuses = () => ({ ...wait, retryAfterMs: 3_600_000 });
  const clientId = page.room.send("slow") ?? "";
  await page.run(100);
  expect(page.room.snapshot.messages[0]?.waitsUntil).toBeGreaterThan(Date.now() + 3_000_000);
  server.refuses = () => null;
  page.room.send("next");
  page.room.discard(clientId);
  await page.run(100);
  expect(server.messages.map(({ content }) => content.text)).toEqual(["next"]);
});
