import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Wishes } from "../src/match.js";
import { Matcher } from "../src/matcher.js";
import { connect } from "./fake.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tick = () => vi.advanceTimersByTimeAsync(0);

const wishes: Wishes = { mode: "text", interests: [], language: "en", confirm: false };
const searching = {
  type: "match.searching",
  data: { ticketId: "t", stage: "strict", expiresInMs: 20_000, estimatedWaitMs: 3_000 },
};
const found = (matchId = "m", roomId: string | null = "r") => ({
  type: "match.found",
  data: {
    matchId,
    mode: "text",
    partner: { userId: "bob", nickname: "bob" },
    sharedInterests: [],
    roomId,
    callId: roomId && "c",
    confirmWithinMs: roomId ? null : 15_000,
  },
});
const refusal = (code: string, retryAfterMs?: number) => ({
  type: "error",
  data: { code, message: "No.", retryAfterMs, detail: {} },
});

async function setUp() {
  const { socket, server, back } = await connect();
  const matcher = new Matcher(socket);
  const events: string[] = [];
  for (const name of ["searching", "found", "ready", "ended", "timeout"] as const)
    matcher.on(name, () => events.push(name));
  return { matcher, server, back, events, phase: () => matcher.snapshot.phase };
}

async function talking() {
  const set = await setUp();
  void set.matcher.start(wishes);
  set.server().answer("match.start", searching);
  set.server().say(found());
  await tick();
  return set;
}

test("a search says what it wants, and ends with somebody", async () => {
  const { matcher, server, events, phase } = await setUp();
  void matcher.start(wishes);
  expect(server().last("match.start").data).toEqual({ ...wishes, fallback: false });
  server().answer("match.start", searching);
  server().say(found());
  expect(phase()).toBe("ready");
  server().say({ type: "match.ended", data: { matchId: "m", reason: "partner_left" } });
  expect(matcher.snapshot).toMatchObject({ phase: "ended", reason: "partner_left" });
  expect(events).toEqual(["searching", "found", "ready", "ended"]);
});

test("nobody there: again, or anybody", async () => {
  const { matcher, server, events, phase } = await setUp();
  void matcher.start(wishes);
  server().answer("match.start", searching);
  server().say({ type: "match.timeout", data: { ticketId: "t" } });
  expect(phase()).toBe("timeout");
  void matcher.start(wishes, true);
  expect(server().last("match.start").data).toEqual({ ...wishes, fallback: true });
  expect(events).toEqual(["searching", "timeout"]);
});

test("next leaves the stranger before the server has answered", async () => {
  const { matcher, server, phase } = await talking();
  void matcher.next();
  expect(server().of("match.next")).toHaveLength(1);
  expect(matcher.snapshot).toMatchObject({ phase: "searching", match: null });
  server().say({ type: "match.ended", data: { matchId: "m", reason: "next" } });
  server().answer("match.next", searching);
  await tick();
  expect(phase()).toBe("searching");
  server().say(found("n"));
  expect(matcher.snapshot.match?.matchId).toBe("n");
});

test("who is too fast leaves the stranger all the same, and searches later", async () => {
  const { matcher, server, phase } = await talking();
  void matcher.next();
  server().answer("match.next", refusal("rate_limited", 4_000));
  await tick();
  expect(phase()).toBe("waiting");
  expect(matcher.snapshot.until).toBe(Date.now() + 4_000);
  expect(server().of("match.stop")).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(3_999);
  expect(server().of("match.start")).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(server().of("match.start")).toHaveLength(2);
  server().answer("match.start", searching);
  expect(phase()).toBe("searching");
});

test("a house that is full is tried again when the server says", async () => {
  const { matcher, server, phase } = await setUp();
  void matcher.start(wishes);
  server().answer("match.start", refusal("unavailable", 5_000));
  await tick();
  expect(phase()).toBe("waiting");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(server().of("match.start")).toHaveLength(2);
});

test("a stranger who was faster is no reason to stop searching", async () => {
  const { matcher, server } = await talking();
  void matcher.next();
  server().answer("match.next", refusal("not_in_match"));
  await tick();
  expect(server().of("match.start")).toHaveLength(2);
});

test("stop is at once, and is told when the socket is back", async () => {
  const { matcher, server, back, phase } = await talking();
  server().lose();
  matcher.stop();
  expect(phase()).toBe("idle");
  await back(true);
  expect(server().of("match.stop")).toHaveLength(1);
});

test("stopped while it waits, it searches no more", async () => {
  const { matcher, server } = await setUp();
  void matcher.start(wishes);
  server().answer("match.start", refusal("rate_limited", 4_000));
  await tick();
  matcher.stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(server().of("match.start")).toHaveLength(1);
});

test("a refusal for good is shown", async () => {
  const { matcher, server } = await setUp();
  void matcher.start(wishes);
  server().answer("match.start", refusal("feature_off"));
  await tick();
  expect(matcher.snapshot).toMatchObject({ phase: "idle", problem: { code: "feature_off", message: "No." } });
});

test("a resumed session still searches; a new one searches anew", async () => {
  const { matcher, server, back, phase } = await setUp();
  void matcher.start(wishes);
  server().answer("match.start", searching);
  server().lose();
  await back(true);
  expect(server().of("match.start")).toHaveLength(0);
  server().lose();
  await back(false);
  expect(server().last("match.start").data).toMatchObject({ language: "en" });
  expect(phase()).toBe("searching");
});

test("a search that was asked into a lost socket is asked again", async () => {
  const { matcher, server, back } = await setUp();
  void matcher.start(wishes);
  server().lose();
  await back(true);
  expect(server().of("match.start")).toHaveLength(1);
});

test("a match outlives a resumed session, and no other", async () => {
  const { matcher, server, back, phase } = await talking();
  server().lose();
  await back(true);
  expect(phase()).toBe("ready");
  server().lose();
  await back(false);
  expect(matcher.snapshot).toMatchObject({ phase: "ended", reason: "lost" });
});

test("a word that was lost with the socket leaves nobody waiting for ever", async () => {
  const { matcher, server, back, phase } = await setUp();
  void matcher.start(wishes);
  server().answer("match.start", searching);
  server().lose();
  await back(true);
  await vi.advanceTimersByTimeAsync(23_000);
  expect(phase()).toBe("timeout");
});

test("both say yes, or one says no", async () => {
  const { matcher, server, phase } = await setUp();
  void matcher.start({ ...wishes, confirm: true });
  server().answer("match.start", searching);
  server().say(found("m", null));
  expect(phase()).toBe("found");
  void matcher.confirm(true);
  expect(server().last("match.confirm").data).toEqual({ matchId: "m", accept: true });
  server().say({ type: "match.ended", data: { matchId: "m", reason: "declined" } });
  server().say(searching);
  expect(matcher.snapshot).toMatchObject({ phase: "searching", reason: "declined" });
  server().say(found("n", null));
  void matcher.confirm(false);
  expect(server().last("match.confirm").data).toEqual({ matchId: "n", accept: false });
  expect(matcher.snapshot).toMatchObject({ phase: "ended", reason: "declined" });
});

test("a yes that comes too late is told", async () => {
  const { matcher, server } = await setUp();
  void matcher.start({ ...wishes, confirm: true });
  server().answer("match.start", searching);
  server().say(found("m", null));
  void matcher.confirm(true);
  server().answer("match.confirm", refusal("not_in_match"));
  await tick();
  expect(matcher.snapshot).toMatchObject({ phase: "ended", reason: "unconfirmed" });
});
