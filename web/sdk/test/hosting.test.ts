import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import { Call } from "../src/call.js";
import { heldAfter, NO_CONTROLS, stillHeld } from "../src/hosting.js";
import { Room } from "../src/room.js";
import { FakeConnection, stubBrowser } from "./browser.js";
import { connect } from "./fake.js";

beforeEach(() => {
  vi.useFakeTimers();
  stubBrowser();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const tick = () => vi.advanceTimersByTimeAsync(0);
const LOCKED = { ...NO_CONTROLS, locked: true };

const voice = (muted: boolean, mutedByHost: boolean) => ({
  trackId: "t0",
  source: "microphone",
  active: true,
  muted,
  mutedByHost,
  cleared: true,
});
const me = (muted: boolean, mutedByHost: boolean) => ({
  participantId: "p",
  userId: "me",
  nickname: "ada",
  state: "connected",
  tracks: [voice(muted, mutedByHost)],
  disabled: [],
});
const stopped = (mayUnmute: boolean, reason = "muted_by_host", source = "microphone") => ({
  trackId: "t0",
  source,
  reason,
  by: "host",
  mayUnmute,
});
const state = {
  type: "room_state",
  roomId: "r",
  epoch: "e",
  offset: 1,
  data: {
    room: { id: "r", kind: "call", name: "Friday", visibility: "public", maxParticipants: 50, createdAt: "" },
    you: { role: "member" },
    members: [],
    online: 1,
    messages: [],
    recovered: null,
    call: { callId: "c", participants: [], recording: null, controls: LOCKED },
  },
};

async function door() {
  const { socket, server, back } = await connect();
  const api = { user: { id: "me", nickname: "ada", role: "member" }, iceServers: async () => [] };
  const room = new Room("r", socket, api as unknown as Api);
  const call = new Call(room);
  room.on("state", () => call.snapshot.phase === "idle" && void call.join());
  room.join();
  const say = (type: string, data: object) => server().say({ type, roomId: "r", data });
  return { room, call, server, back, say };
}

async function inside(participants: object[] = [me(false, false)]) {
  const set = await door();
  set.call.mute("microphone", false);
  set.server().answer("join_room", state);
  await tick();
  const tracks = [{ mid: "0", trackId: "t0" }];
  const data = { callId: "c", participantId: "p", sdp: "answer", tracks, participants, controls: LOCKED };
  set.server().answer("call.offer", { type: "call.answer", roomId: "r", data });
  await tick();
  FakeConnection.made.at(-1)?.become("connected");
  return set;
}

const waiting = { type: "error", data: { code: "waiting", message: "Wait here.", detail: {} } };

test("who waits asks again when let in, and keeps the place over a lost socket", async () => {
  const { room, server, back, say } = await door();
  server().answer("join_room", waiting);
  await tick();
  expect(room.snapshot.state).toBe("waiting");
  server().lose();
  await back(true);
  server().answer("join_room", waiting);
  await tick();
  expect(room.snapshot.state).toBe("waiting");
  say("call.admitted", {});
  server().answer("join_room", state);
  await tick();
  expect(room.snapshot.state).toBe("joined");
  expect(server().of("call.offer")).toHaveLength(1);
});

test("who waits may leave, or be sent away", async () => {
  const one = await door();
  one.server().answer("join_room", waiting);
  await tick();
  one.room.leave();
  expect(one.server().of("leave_room")).toHaveLength(1);
  const other = await door();
  other.server().answer("join_room", waiting);
  await tick();
  other.say("call.denied", { retryAfterMs: 60_000 });
  expect(other.room.snapshot).toMatchObject({ state: "refused", reason: { code: "denied" } });
  other.say("call.admitted", {});
  expect(other.server().of("join_room")).toHaveLength(1);
});

test("what hosts settle is known from the state on, and each change with who did it", async () => {
  const { call, say } = await inside();
  expect(call.snapshot.controls).toEqual(LOCKED);
  const told: unknown[] = [];
  call.on("hosted", (hosted) => told.push(hosted));
  const news = { controls: NO_CONTROLS, by: "host", act: { type: "lock", locked: false } };
  say("call.controls", news);
  expect(call.snapshot.controls).toEqual(NO_CONTROLS);
  expect(told).toEqual([news]);
  const waiter = (userId: string) => ({ userId, nickname: userId, since: "" });
  const names = () => call.snapshot.waiting.map(({ userId }) => userId);
  say("call.waiting", { whole: true, waiting: [waiter("bob"), waiter("cleo")], gone: [], count: 2 });
  say("call.waiting", { whole: false, waiting: [waiter("dora")], gone: [], count: 3 });
  expect(names()).toEqual(["bob", "cleo", "dora"]);
  say("call.waiting", { whole: false, waiting: [], gone: ["bob", "dora"], count: 1 });
  say("call.waiting", { whole: false, waiting: [waiter("cleo")], gone: [], count: 1 });
  expect(names()).toEqual(["cleo"]);
});

test("who was muted with all does not unmute by itself", async () => {
  const { call, server, say } = await inside();
  const told = () =>
    server()
      .of("call.mute")
      .map(({ data }) => data.muted);
  expect(told()).toEqual([false]);
  say("call.participant", { participant: me(true, true) });
  say("track.stopped", stopped(true));
  expect(call.snapshot.held.microphone?.mayUnmute).toBe(true);
  expect(told()).toEqual([false]);
  call.mute("microphone", false);
  expect(told()).toEqual([false, false]);
  say("call.participant", { participant: me(false, false) });
  expect(call.snapshot.held).toEqual({});
});

test("who comes to a call where all are muted begins muted", async () => {
  const { server } = await inside([me(true, true)]);
  expect(server().last("call.mute").data.muted).toBe(true);
});

test("the end for all, and being put out, is no loss that mends itself", async () => {
  for (const reason of ["ended_by_host", "removed_by_host"] as const) {
    const { call, server, say } = await inside();
    say("call.ended", { reason, by: "host" });
    await tick();
    expect(call.snapshot).toMatchObject({ phase: "ended", over: { reason, by: "host" } });
    expect(server().of("call.offer")).toHaveLength(1);
  }
  const { call, say } = await inside();
  say("call.ended", { reason: "ice_timeout", by: null });
  expect(call.snapshot.phase).toBe("reconnecting");
});

test("hosts' verbs are the frames of that name", async () => {
  const { call, server } = await inside();
  const { hosting } = call;
  const acts: [string, Promise<void>, object][] = [
    ["call.mute_all", hosting.muteAll(true, false), { muted: true, mayUnmute: false }],
    [
      "call.disable",
      hosting.disable("everybody", "camera", true),
      { target: "everybody", source: "camera", disabled: true },
    ],
    ["call.spotlight", hosting.spotlight("q"), { participantId: "q" }],
    ["call.lock", hosting.lock(true), { locked: true }],
    ["call.waiting_room", hosting.setWaitingRoom(true), { enabled: true }],
    ["call.admit", hosting.admit({ userId: "u" }), { target: { userId: "u" } }],
    ["call.deny", hosting.deny("u"), { userId: "u" }],
    ["call.remove", hosting.remove("u"), { userId: "u" }],
    ["call.end", hosting.endForAll(), {}],
  ];
  for (const [type, work, data] of acts) {
    expect(server().last(type).data).toEqual({ roomId: "r", ...data });
    server().answer(type, { type: "ok", data: {} });
    await work;
  }
});

test("what is held is held until everybody sees that it is not", () => {
  const held = heldAfter({}, stopped(false, "disabled_by_host", "camera") as never);
  expect(stillHeld(held, [{ source: "camera", mutedByHost: true }])).toBe(held);
  expect(stillHeld(held, [{ source: "camera", mutedByHost: false }])).toEqual({});
});
