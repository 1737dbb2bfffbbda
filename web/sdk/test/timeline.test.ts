import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Archive } from "../src/archive.js";
import { Pages } from "../src/pages.js";
import type { Message, ServerFrame, User } from "../src/proto.js";
import { Stream } from "../src/stream.js";
import { applied, EMPTY, entered, FEW, MOST, PAGE, type Timeline } from "../src/timeline.js";
import { type Happening, ModelRoom, PEOPLE } from "./model.js";

const ME: User = { id: "me", nickname: "me", role: "member" };
/** Events that one resume brings at most. */
const RESUME = 12;

const who = fc.nat(PEOPLE.length - 1);
const which = fc.nat(200);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("say" as const),
      who,
      text: fc.string({ maxLength: 8 }),
      thread: fc.option(which),
    }),
  },
  fc.record({ kind: fc.constant("edit" as const), which, text: fc.string({ maxLength: 8 }) }),
  fc.record({ kind: fc.constant("delete" as const), which }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("react" as const),
      which,
      who,
      emoji: fc.constantFrom("👍", "🎉"),
      on: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constant("ask" as const), who }),
  fc.record({ kind: fc.constant("vote" as const), which, who, option: fc.nat(1) }),
  fc.record({ kind: fc.constant("pin" as const), which, pinned: fc.boolean() }),
  fc.record({ kind: fc.constant("lock" as const), which, locked: fc.boolean() }),
  fc.record({ kind: fc.constant("come" as const), who }),
  fc.record({ kind: fc.constant("go" as const), who }),
  fc.record({
    kind: fc.constant("rank" as const),
    who,
    role: fc.constantFrom("member" as const, "moderator" as const, "admin" as const),
  }),
  fc.record({ kind: fc.constant("own" as const), who }),
  fc.record({ kind: fc.constant("settle" as const), name: fc.string({ maxLength: 8 }) }),
);

/** What the network does meanwhile. */
const fate = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("happen" as const), it: happening }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("deliver" as const), count: fc.integer({ min: 1, max: 6 }) }),
  },
  fc.record({ kind: fc.constant("lose" as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant("again" as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant("join" as const) }),
);

/** A client at the other end of a bad network. */
class Client {
  timeline: Timeline = EMPTY;
  readonly #stream = new Stream();
  readonly #room: ModelRoom;
  /** How many events the network has taken from the server. */
  #taken = 0;

  constructor(room: ModelRoom) {
    this.#room = room;
    this.join();
  }

  deliver(count: number): void {
    for (const frame of this.#take(count)) this.#hear(frame);
  }

  lose(count: number): void {
    this.#take(count);
  }

  again(count: number): void {
    const taken = this.#room.events.slice(Math.max(0, this.#taken - count), this.#taken);
    for (const frame of taken) this.#hear(frame);
  }

  join(): void {
    const since = this.#stream.position?.offset ?? null;
    const missed = since === null ? [] : this.#room.events.slice(since);
    const recovered = since === null ? null : missed.length <= RESUME;
    this.timeline = entered(this.timeline, this.#room.state(recovered));
    if (recovered !== true) this.#stream.reset({ epoch: "e", offset: this.#room.offset });
    this.#taken = this.#room.offset;
    if (recovered) for (const frame of missed) this.#hear(frame);
  }

  #take(count: number): ServerFrame[] {
    const from = this.#taken;
    this.#taken = Math.min(this.#room.offset, from + count);
    return this.#room.events.slice(from, this.#taken);
  }

  #hear(frame: ServerFrame): void {
    const verdict = this.#stream.accept(frame.epoch ?? "", frame.offset ?? 0);
    if (verdict === "apply") this.timeline = applied(this.timeline, structuredClone(frame), ME);
    else if (verdict === "gap") this.join();
  }
}

const plain = ({ info, role, members, online }: Timeline) => ({
  info,
  role,
  members: Object.fromEntries(members),
  online,
});

test("state built from events is a fresh one, whatever is lost, doubled or resumed", () => {
  fc.assert(
    fc.property(fc.array(fate, { maxLength: 120 }), (steps) => {
      const room = new ModelRoom();
      const client = new Client(room);
      for (const step of steps) {
        if (step.kind === "happen") room.happen(step.it);
        else if (step.kind === "join") client.join();
        else client[step.kind](step.count);
      }
      client.join();
      const fresh = entered(EMPTY, room.state(null));
      expect(plain(client.timeline)).toEqual(plain(fresh));
      const { messages } = client.timeline.latest;
      expect(messages.slice(-PAGE)).toEqual(fresh.latest.messages);
      expect(messages).toEqual(room.messages.slice(-messages.length));
    }),
    { numRuns: 400 },
  );
});

/** The room's history over REST. */
function archiveOf(room: ModelRoom, slow: () => Promise<void>): Archive {
  const archive = new Archive({} as never, "r");
  archive.page = async ({ before, after, around, thread, limit = 50 }) => {
    const all = room.messages.filter(({ content }) => !thread || content.threadId === thread);
    const at = all.findIndex(({ id }) => id === (before ?? after ?? around));
    const half = Math.floor(limit / 2);
    const [from, to] = before
      ? [at - limit, at]
      : after
        ? [at + 1, at + 1 + limit]
        : around
          ? [at - half, at + half]
          : [all.length - limit, all.length];
    const messages = structuredClone(all.slice(Math.max(0, from), Math.max(0, to))).reverse();
    const edge = after ? messages[0] : messages.at(-1);
    await slow();
    return { messages, next: messages.length === limit ? (edge?.id ?? null) : null };
  };
  archive.message = async (id) => structuredClone(room.messages.find((it) => it.id === id)) as Message;
  return archive;
}

function filled(count: number): ModelRoom {
  const room = new ModelRoom();
  for (let number = 0; number < count; number++) {
    room.happen({ kind: "say", who: number % 4, text: `text ${number}`, thread: null });
  }
  return room;
}

test("whoever jumps into the past comes forward to the newest again, without a gap", async () => {
  const room = filled(400);
  const client = new Client(room);
  const pages = new Pages(
    archiveOf(room, async () => undefined),
    client,
  );
  await pages.visit("m000100");
  const ids = () => (client.timeline.visited ?? client.timeline.latest).messages.map(({ id }) => id);
  expect(ids()).toContain("m000100");
  expect(client.timeline.visited?.hasNewer).toBe(true);
  room.happen({ kind: "say", who: 1, text: "meanwhile", thread: null });
  client.deliver(1);
  expect(ids(), "nothing new behind a gap").not.toContain("m000400");
  await pages.older();
  while (client.timeline.visited) await pages.newer();
  expect(client.timeline.latest.messages).toEqual(
    room.messages.slice(-client.timeline.latest.messages.length),
  );
  expect(ids()).toContain("m000050");
});

test("what happens while a page is on its way is not undone by it", async () => {
  const room = filled(80);
  const client = new Client(room);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const pages = new Pages(
    archiveOf(room, () => held),
    client,
  );
  const turning = pages.older();
  room.happen({ kind: "delete", which: 3 });
  room.happen({ kind: "react", which: 5, who: 1, emoji: "👍", on: true });
  for (const frame of room.events.slice(-2)) {
    pages.follow(frame);
    client.deliver(1);
  }
  release();
  await turning;
  expect(client.timeline.latest.messages).toEqual(room.messages);
});

test("an open thread follows what is written in it, and nothing else", async () => {
  const room = filled(3);
  for (let number = 0; number < 60; number++)
    room.happen({ kind: "say", who: 1, text: `reply ${number}`, thread: 0 });
  const client = new Client(room);
  const pages = new Pages(
    archiveOf(room, async () => undefined),
    client,
  );
  await pages.openThread("m000000");
  expect(client.timeline.thread?.messages).toHaveLength(50);
  expect(client.timeline.thread?.root?.thread?.replies).toBe(60);
  await pages.olderInThread();
  room.happen({ kind: "say", who: 2, text: "more", thread: 0 });
  room.happen({ kind: "say", who: 2, text: "elsewhere", thread: null });
  client.deliver(9);
  expect(client.timeline.thread?.messages.map(({ content }) => content.text)).toEqual([
    ...Array.from({ length: 60 }, (_, number) => `reply ${number}`),
    "more",
  ]);
});

/** An archive that answers when it is told to, in any order. */
function heldArchive(room: ModelRoom) {
  const waiting: (() => void)[] = [];
  const archive = archiveOf(room, () => new Promise((resolve) => waiting.push(resolve)));
  return { archive, waiting };
}

test("of two jumps the last one counts, whichever comes first, and so does the way back", async () => {
  const room = filled(400);
  const client = new Client(room);
  const { archive, waiting } = heldArchive(room);
  const pages = new Pages(archive, client);
  const ids = () => (client.timeline.visited ?? client.timeline.latest).messages.map(({ id }) => id);
  const [first, second] = [pages.visit("m000100"), pages.visit("m000200")];
  waiting[1]?.();
  expect(await second).toBe(true);
  waiting[0]?.();
  expect(await first).toBe(false);
  expect(ids()).toContain("m000200");
  expect(ids()).not.toContain("m000100");
  const third = pages.visit("m000030");
  pages.newest();
  waiting[2]?.();
  expect(await third).toBe(false);
  expect(client.timeline.visited).toBeNull();
});

test("a page that was read before a fresh state is fetched anew", async () => {
  const room = filled(120);
  const client = new Client(room);
  const { archive, waiting } = heldArchive(room);
  const pages = new Pages(archive, client);
  const turning = pages.older();
  room.happen({ kind: "edit", which: 60, text: "seen" });
  const [seen] = room.events.slice(-1);
  if (seen) pages.follow(seen);
  for (let number = 0; number <= RESUME; number++)
    room.happen({ kind: "edit", which: 60, text: `missed ${number}` });
  room.happen({ kind: "edit", which: 100, text: "missed too" });
  client.join();
  pages.renew();
  waiting[0]?.();
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  waiting[1]?.();
  await turning;
  const { messages } = client.timeline.latest;
  expect(messages).toHaveLength(100);
  expect(messages).toEqual(room.messages.slice(-100));
});

test("who looks at the newest keeps a few of many, and gets the others back", async () => {
  const room = filled(MOST + 200);
  const client = new Client(room);
  const pages = new Pages(
    archiveOf(room, async () => undefined),
    client,
  );
  while (client.timeline.latest.messages.length <= MOST) await pages.older();
  pages.settle();
  expect(client.timeline.latest.messages).toEqual(room.messages.slice(-FEW));
  expect(client.timeline.latest.hasOlder).toBe(true);
  const { latest } = client.timeline;
  pages.settle();
  expect(client.timeline.latest).toBe(latest);
  await pages.older();
  expect(client.timeline.latest.messages).toEqual(room.messages.slice(-FEW - PAGE));
});
