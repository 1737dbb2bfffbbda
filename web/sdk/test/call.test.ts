import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import { Call } from "../src/call.js";
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

const roomState = (recording: object | null = null) => ({
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
    call: { callId: "c", participants: [], recording },
  },
});
const answer = {
  type: "call.answer",
  roomId: "r",
  data: { callId: "c", participantId: "p", sdp: "answer", tracks: [], participants: [] },
};
const consent = {
  type: "error",
  data: { code: "recording_consent", message: "This call is being recorded.", detail: {} },
};
const running = { recordingId: "x", state: "running", startedAt: "", startedBy: "bob" };

async function setUp(recording: object | null = null) {
  const { socket, server, back } = await connect();
  const room = new Room("r", socket, {
    user: { id: "me", nickname: "ada", role: "member" },
    iceServers: async () => [],
  } as unknown as Api);
  const call = new Call(room);
  room.on("state", () => call.snapshot.phase === "idle" && void call.join());
  room.join();
  server().answer("join_room", roomState(recording));
  await tick();
  const say = (type: string, data: object) => server().say({ type, roomId: "r", data });
  const offers = () => server().of("call.offer");
  const accepted = () => offers().at(-1)?.data.acceptRecording;
  return { call, server, back, say, offers, accepted, phase: () => call.snapshot.phase };
}

async function inside(recording: object | null = null) {
  const set = await setUp(recording);
  set.server().answer("call.offer", answer);
  await tick();
  FakeConnection.made.at(-1)?.become("connected");
  return set;
}

test("whoever is made a host of a live room publishes without coming anew", async () => {
  const { socket, server } = await connect();
  const api = { user: { id: "me", nickname: "ada", role: "member" }, iceServers: async () => [] };
  const room = new Room("r", socket, api as unknown as Api);
  const call = new Call(room);
  room.on("state", () => call.snapshot.phase === "idle" && void call.join());
  room.join();
  const state = roomState();
  server().answer("join_room", {
    ...state,
    data: { ...state.data, room: { ...state.data.room, kind: "live" } },
  });
  await tick();
  server().answer("call.offer", answer);
  await tick();
  FakeConnection.made.at(-1)?.become("connected");
  const offers = () => server().of("call.offer").length;
  expect([offers(), call.snapshot.phase]).toEqual([1, "connected"]);
  const role = (of: string) =>
    server().say({ type: "member_role", roomId: "r", data: { userId: "me", role: of } });
  role("member");
  await tick();
  expect(offers()).toBe(1);
  role("moderator");
  await tick();
  expect(offers()).toBe(2);
  server().answer("call.offer", answer);
  await tick();
  role("admin");
  await tick();
  expect(offers()).toBe(2);
});

test("a recorded call is entered only after the person agreed", async () => {
  const { call, server, accepted, phase } = await setUp(running);
  const asked: string[] = [];
  call.on("consent", ({ message }) => asked.push(message));
  expect(accepted()).toBe(false);
  server().answer("call.offer", consent);
  await tick();
  expect(phase()).toBe("consent");
  expect(asked).toEqual(["This call is being recorded."]);
  void call.acceptRecording();
  await tick();
  expect(accepted()).toBe(true);
  server().answer("call.offer", answer);
  await tick();
  FakeConnection.made.at(-1)?.become("connected");
  expect(phase()).toBe("connected");
});

test("who does not agree leaves, and offers no more", async () => {
  const { call, server, offers, phase } = await setUp(running);
  server().answer("call.offer", consent);
  await tick();
  call.leave();
  await call.acceptRecording();
  expect(phase()).toBe("ended");
  expect(offers()).toHaveLength(1);
});

test("a recording that ends needs no consent any more", async () => {
  const { server, say, offers, accepted } = await setUp(running);
  server().answer("call.offer", consent);
  await tick();
  say("recording.stopped", { recordingId: "x", reason: "stopped" });
  await tick();
  expect(offers()).toHaveLength(2);
  expect(accepted()).toBe(false);
});

test("who stayed when it began is not asked again after a lost connection, but for another recording", async () => {
  const { server, back, say, accepted } = await inside();
  say("recording.starting", { recordingId: "x", startsInMs: 3_000, startedBy: "bob" });
  say("recording.started", { recordingId: "x", startedAt: "" });
  server().lose();
  await back(false);
  server().answer("join_room", roomState(running));
  await tick();
  expect(accepted()).toBe(true);
  server().lose();
  await back(false);
  server().answer("join_room", roomState({ ...running, recordingId: "y" }));
  await tick();
  expect(accepted()).toBe(false);
});

test("everybody sees a recording come, run and end", async () => {
  const { call, say } = await inside();
  const ends: string[] = [];
  call.on("recordingStopped", ({ reason }) => ends.push(reason));
  say("recording.starting", { recordingId: "x", startsInMs: 3_000, startedBy: "bob" });
  expect(call.snapshot).toMatchObject({
    callId: "c",
    recording: { state: "starting", startsAt: Date.now() + 3_000 },
  });
  say("recording.started", { recordingId: "x", startedAt: "" });
  expect(call.snapshot.recording?.state).toBe("running");
  say("recording.stopped", { recordingId: "x", reason: "disk_full" });
  expect(call.snapshot.recording).toBeNull();
  expect(ends).toEqual(["disk_full"]);
});

test("what moderation stopped is sent no more, also after a new connection", async () => {
  const { call, server, back, say } = await inside();
  const camera = { enabled: true, getSettings: () => ({ width: 320 }) } as unknown as MediaStreamTrack;
  const sent = () => FakeConnection.made.at(-1)?.senders[1]?.track;
  await call.publish("camera", camera);
  expect(sent()).toBe(camera);
  const told: string[] = [];
  call.on("stopped", ({ reason }) => told.push(reason));
  say("track.stopped", { trackId: "t", source: "camera", reason: "muted_by_host" });
  expect(sent()).toBe(camera);
  say("track.stopped", { trackId: "t", source: "camera", reason: "moderation" });
  expect(told).toEqual(["muted_by_host", "moderation"]);
  expect(call.snapshot.moderated).toEqual(["camera"]);
  await tick();
  expect(sent()).toBeNull();
  await call.publish("camera", camera);
  expect(sent()).toBeNull();
  server().lose();
  await back(false);
  server().answer("join_room", roomState());
  await tick();
  expect(FakeConnection.made).toHaveLength(2);
  expect(sent()).toBeNull();
});

test("whether a picture is cleared is told for each track", async () => {
  const { call, say } = await inside();
  const track = { trackId: "t", source: "camera", active: true, muted: false, mutedByHost: false };
  const cleared = () => call.snapshot.participants[0]?.tracks[0]?.cleared;
  for (const now of [false, true, false]) {
    const tracks = [{ ...track, cleared: now }];
    say("call.participant", {
      participant: { participantId: "q", userId: "bob", nickname: "bob", state: "connected", tracks },
    });
    expect(cleared()).toBe(now);
  }
});

test("what is told while the browser takes the answer is newer than the answer's list", async () => {
  const { call, server, say } = await setUp();
  let taken: () => void = () => undefined;
  FakeConnection.answering = new Promise((resolve) => {
    taken = resolve;
  });
  const bob = (cleared: boolean) => ({
    participantId: "q",
    userId: "bob",
    nickname: "bob",
    state: "connected",
    tracks: [{ trackId: "t", source: "camera", active: true, muted: false, mutedByHost: false, cleared }],
  });
  server().answer("call.offer", { ...answer, data: { ...answer.data, participants: [bob(false)] } });
  await tick();
  say("call.participant", { participant: bob(true) });
  taken();
  await tick();
  expect(call.snapshot.participants[0]?.tracks[0]?.cleared).toBe(true);
  FakeConnection.answering = Promise.resolve();
});

test("layers that nobody watches rest until somebody does, and all are sent on a new connection", async () => {
  const named = { ...answer, data: { ...answer.data, tracks: [{ mid: "1", trackId: "face" }] } };
  const { call, server, back, say } = await setUp();
  server().answer("call.offer", named);
  await tick();
  FakeConnection.made.at(-1)?.become("connected");
  const active = () => FakeConnection.made.at(-1)?.senders[1]?.encodings.map(({ active }) => active ?? true);
  await call.publish("camera", {
    enabled: true,
    getSettings: () => ({ width: 1280 }),
  } as unknown as MediaStreamTrack);
  say("call.layers", { trackId: "face", layers: [true, false, false] });
  await tick();
  expect(active()).toEqual([true, false, false]);
  say("call.layers", { trackId: "somebody else's", layers: [false, false, false] });
  await tick();
  expect(active()).toEqual([true, false, false]);
  call.mute("camera", true);
  say("call.layers", { trackId: "face", layers: [true, false, true] });
  await tick();
  expect(active()).toEqual([true, false, true]);
  server().lose();
  await back(false);
  server().answer("join_room", roomState());
  await tick();
  expect(FakeConnection.made).toHaveLength(2);
  expect(active()).toEqual([true, true, true]);
});

test("a share is sent as what it is for", async () => {
  const { call } = await inside();
  const screen = { enabled: true, contentHint: "", getSettings: () => ({ width: 1920 }) };
  await call.publish("screen", screen as unknown as MediaStreamTrack);
  const rate = () => FakeConnection.made.at(-1)?.senders[2]?.encodings[0]?.maxFramerate;
  expect([screen.contentHint, rate()]).toEqual(["detail", 15]);
  await call.shareMode("motion");
  expect([screen.contentHint, rate()]).toEqual(["motion", 30]);
});

test("a device that lacks the time to encode asks for smaller pictures", async () => {
  const { call, server } = await inside();
  vi.stubGlobal("devicePixelRatio", 1);
  const video = { clientWidth: 1280, play: async () => undefined } as unknown as HTMLVideoElement;
  call.attach("t", video);
  const asked = () =>
    (server().of("view").at(-1)?.data.tracks as { width: number }[] | undefined)?.[0]?.width;
  await vi.advanceTimersByTimeAsync(100);
  expect(asked()).toBe(1280);
  const connection = FakeConnection.made.at(-1);
  if (connection) connection.limited = true;
  await vi.advanceTimersByTimeAsync(10_500);
  expect(asked()).toBe(640);
});

test("on another network the connection gets new ICE credentials at once", async () => {
  const heard = new Map<string, () => void>();
  vi.stubGlobal("addEventListener", (name: string, listener: () => void) => heard.set(name, listener));
  vi.stubGlobal("removeEventListener", (name: string) => heard.delete(name));
  const { call, server, offers } = await setUp();
  server().answer("call.offer", answer);
  await tick();
  FakeConnection.made.at(-1)?.become("connected");
  expect([call.snapshot.phase, offers().length]).toEqual(["connected", 1]);
  heard.get("online")?.();
  await tick();
  expect(offers()).toHaveLength(2);
  server().answer("call.offer", answer);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([call.snapshot.phase, FakeConnection.made.length, offers().length]).toEqual(["connected", 1, 2]);
  call.leave();
  expect(heard.has("online")).toBe(false);
});
