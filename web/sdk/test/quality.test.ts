import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import { Call } from "../src/call.js";
import type { Quality, Rated } from "../src/proto.js";
import { qualityHistory } from "../src/quality.js";
import { Room } from "../src/room.js";
import { stubBrowser } from "./browser.js";
import { connect } from "./fake.js";

beforeEach(() => {
  vi.useFakeTimers();
  stubBrowser();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const EXCELLENT: Quality = { level: "excellent", reason: null, direction: null };
const LOSSY: Quality = { level: "poor", reason: "loss", direction: "up" };
const person = (participantId: string, quality: Quality | null) => ({
  participantId,
  userId: participantId,
  nickname: participantId,
  state: "connected",
  tracks: [],
  disabled: [],
  quality,
});

test("what lines are like is told of those who are there, and of oneself", async () => {
  const { socket, server } = await connect();
  const room = new Room("r", socket, {
    user: { id: "me", nickname: "ada", role: "member" },
    iceServers: async () => [],
  } as unknown as Api);
  const call = new Call(room);
  room.on("state", () => void call.join());
  room.join();
  const participants = [person("me", null), person("ben", LOSSY)];
  const data = {
    room: { id: "r", kind: "call", name: "Friday", visibility: "public", maxParticipants: 50, createdAt: "" },
    you: { role: "member" },
    members: [],
    online: 1,
    messages: [],
    recovered: null,
    call: { callId: "c", participants, recording: null },
  };
  server().answer("join_room", { type: "room_state", roomId: "r", epoch: "e", offset: 1, data });
  await vi.advanceTimersByTimeAsync(0);
  const answer = { callId: "c", participantId: "me", sdp: "answer", tracks: [], participants };
  server().answer("call.offer", { type: "call.answer", roomId: "r", data: answer });
  await vi.advanceTimersByTimeAsync(0);
  const lines = () => call.snapshot.participants.map(({ quality }) => quality);
  expect([lines(), call.snapshot.quality]).toEqual([[null, LOSSY], null]);

  const heard: Rated[] = [];
  call.on("quality", (rated) => heard.push(...rated));
  const told = [
    { participantId: "me", quality: LOSSY },
    { participantId: "ben", quality: EXCELLENT },
    { participantId: "somebody who has left", quality: EXCELLENT },
  ];
  server().say({ type: "call.quality", roomId: "r", data: { participants: told } });
  expect([lines(), call.snapshot.quality]).toEqual([[LOSSY, EXCELLENT], LOSSY]);
  expect(heard).toEqual(told);
});

test("a part of a call's history can be asked for", async () => {
  const request = vi.fn(async () => ({ callId: "c", participants: [] }));
  const api = { request } as unknown as Api;
  await qualityHistory(api, "c");
  await qualityHistory(api, "c", { participantId: "p", since: "2026-01-31T09:30:00.123Z" });
  expect(request.mock.calls).toEqual([
    ["GET", "/calls/c/quality?"],
    ["GET", "/calls/c/quality?participantId=p&since=2026-01-31T09%3A30%3A00.123Z"],
  ]);
});
