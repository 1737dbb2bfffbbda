import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import type { RingState } from "../src/proto.js";
import { Ringing } from "../src/ringing.js";
import { connect } from "./fake.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ada = { id: "me", nickname: "ada" };
const bob = { id: "bob", nickname: "bob" };

function call(initiator: typeof ada, states: Record<string, RingState>, outcome: string | null = null) {
  const participants = Object.entries(states).map(([userId, state]) => ({ userId, nickname: userId, state }));
  return {
    callId: "c",
    roomId: "r",
    initiator,
    type: "video",
    participants,
    startedAt: "",
    answeredAt: null,
    endedAt: null,
    outcome,
  };
}

async function setUp() {
  const { socket, server, back } = await connect();
  const request = vi.fn(async (..._: unknown[]) => ({ items: [], next: null }));
  const ringing = new Ringing({ user: { id: "me" }, request } as unknown as Api, socket);
  return { ringing, server, back, request };
}

test("an invitation rings until its own person has another state, on whichever device", async () => {
  const { ringing, server } = await setUp();
  const {
    startedAt: _,
    answeredAt: __,
    endedAt: ___,
    outcome: ____,
    ...invite
  } = call(bob, { me: "ringing" });
  server().say({ type: "call_invite", data: { ...invite, expiresInMs: 45_000 } });
  expect(ringing.snapshot.incoming.map(({ callId }) => callId)).toEqual(["c"]);
  expect(ringing.snapshot.outgoing).toBeNull();
  server().say({ type: "call.ring", data: call(bob, { me: "accepted" }) });
  expect(ringing.snapshot.incoming).toEqual([]);
});

test("what we start is outgoing until somebody answers or it is over", async () => {
  const { ringing, server } = await setUp();
  const started = ringing.start("r", "video");
  expect(server().last("start_call").data).toEqual({ roomId: "r", type: "video" });
  server().answer("start_call", { type: "call.ring", data: call(ada, { bob: "ringing" }) });
  expect((await started).callId).toBe("c");
  expect(ringing.snapshot.outgoing?.callId).toBe("c");
  expect(ringing.snapshot.incoming).toEqual([]);
  const told: (string | null)[] = [];
  ringing.on("call", ({ outcome }) => told.push(outcome));
  server().say({ type: "call.ring", data: call(ada, { bob: "missed" }, "missed") });
  expect(ringing.snapshot.outgoing).toBeNull();
  expect(told).toEqual(["missed"]);
});

test("after a login only what is told then rings", async () => {
  const { ringing, server, back } = await setUp();
  server().say({ type: "call.ring", data: call(bob, { me: "ringing" }) });
  server().lose();
  expect(ringing.snapshot.incoming).toHaveLength(1);
  await back(true);
  expect(ringing.snapshot.incoming).toEqual([]);
  server().say({ type: "call.ring", data: call(bob, { me: "ringing" }) });
  expect(ringing.snapshot.incoming).toHaveLength(1);
});

test("answers go over the socket, and a refusal is told", async () => {
  const { ringing, server } = await setUp();
  const accepted = ringing.accept("c");
  expect(server().last("call.accept").data).toEqual({ callId: "c" });
  server().answer("call.accept", {
    type: "error",
    data: { code: "not_found", message: "It rings no more." },
  });
  await expect(accepted).rejects.toMatchObject({ code: "not_found", message: "It rings no more." });
  const declined = ringing.decline("c");
  server().answer("call.decline", { type: "ok", data: {} });
  await declined;
  const canceled = ringing.cancel("c");
  server().answer("call.cancel", { type: "ok", data: {} });
  await canceled;
});

test("the history is one's own by pages", async () => {
  const { ringing, request } = await setUp();
  await ringing.history("me");
  await ringing.history("me", "c");
  expect(request.mock.calls).toEqual([
    ["GET", "/users/me/calls"],
    ["GET", "/users/me/calls?before=c"],
  ]);
});

test("what nobody says the end of rings no longer than it may", async () => {
  const { ringing, server } = await setUp();
  const {
    startedAt: _,
    answeredAt: __,
    endedAt: ___,
    outcome: ____,
    ...invite
  } = call(bob, { me: "ringing" });
  server().say({ type: "call_invite", data: { ...invite, expiresInMs: 45_000 } });
  vi.advanceTimersByTime(45_000);
  expect(ringing.snapshot.incoming).toHaveLength(1);
  vi.advanceTimersByTime(5_000);
  expect(ringing.snapshot.incoming).toEqual([]);
});

test("a call that the server knows no more is over for whoever cancels it", async () => {
  const { ringing, server } = await setUp();
  const started = ringing.start("r", "video");
  server().answer("start_call", { type: "call.ring", data: call(ada, { bob: "ringing" }) });
  await started;
  const canceled = ringing.cancel("c").catch(({ code }: { code: string }) => code);
  server().answer("call.cancel", { type: "error", data: { code: "not_found", message: "No such call." } });
  expect(await canceled).toBe("not_found");
  expect(ringing.snapshot.outgoing).toBeNull();
});
