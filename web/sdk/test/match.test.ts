import { expect, test } from "vitest";
import { IDLE, type MatchSnapshot, matchAfter, type Wishes } from "../src/match.js";
import type { ServerFrame } from "../src/proto.js";

const wishes: Wishes = { mode: "video", interests: ["chess"], language: "en", confirm: false };
const NOW = 1_000_000;

const partner = { userId: "bob", nickname: "bob" };
const searching = (stage = "strict", expiresInMs = 20_000) => ({
  type: "match.searching",
  data: { ticketId: "t", stage, expiresInMs, estimatedWaitMs: 3_000 },
});
const found = (matchId: string, roomId: string | null, confirmWithinMs: number | null = null) => ({
  type: "match.found",
  data: {
    matchId,
    mode: "video",
    partner,
    sharedInterests: ["chess"],
    roomId,
    callId: roomId && "c",
    confirmWithinMs,
  },
});
const ended = (matchId: string, reason: string) => ({ type: "match.ended", data: { matchId, reason } });

function after(...frames: object[]): MatchSnapshot {
  const start = matchAfter(IDLE, { type: "start", wishes });
  return frames.reduce<MatchSnapshot>(
    (before, frame) => matchAfter(before, { type: "frame", frame: frame as ServerFrame, now: NOW }),
    start,
  );
}

test("a search widens by its stages, and says until when it goes on", () => {
  expect(after()).toMatchObject({ phase: "searching", stage: null, until: null });
  const first = after(searching());
  expect(first).toMatchObject({ stage: "strict", estimatedWaitMs: 3_000, until: NOW + 20_000 });
  expect(after(searching(), searching("language", 8_000))).toMatchObject({
    phase: "searching",
    stage: "language",
    until: NOW + 8_000,
  });
});

test("a match without confirmation has its room at once", () => {
  expect(after(searching(), found("m", "r"))).toMatchObject({
    phase: "ready",
    until: null,
    match: { matchId: "m", roomId: "r", callId: "c", partner },
  });
});

test("a match to be confirmed has its room when both have said yes", () => {
  const waiting = after(searching(), found("m", null, 15_000));
  expect(waiting).toMatchObject({
    phase: "found",
    until: NOW + 15_000,
    match: { roomId: null, accepted: false },
  });
  const accepted = matchAfter(waiting, { type: "accept" });
  expect(accepted.match?.accepted).toBe(true);
  const frame = { type: "match.ready", data: { matchId: "m", roomId: "r", callId: "c" } } as ServerFrame;
  expect(matchAfter(accepted, { type: "frame", frame, now: NOW })).toMatchObject({
    phase: "ready",
    match: { roomId: "r", accepted: true },
  });
});

test("what the partner did ends it with its reason; the partner stays known", () => {
  for (const reason of ["partner_left", "partner_next", "partner_lost", "blocked", "reported", "violation"])
    expect(after(searching(), found("m", "r"), ended("m", reason))).toMatchObject({
      phase: "ended",
      reason,
      match: { partner },
    });
});

test("what we did ourselves is no news: next searches on, stop is the end", () => {
  expect(after(searching(), found("m", "r"), ended("m", "next"))).toMatchObject({
    phase: "searching",
    match: null,
  });
  expect(after(searching(), found("m", "r"), ended("m", "stopped"))).toMatchObject({
    phase: "idle",
    match: null,
  });
});

test("who accepted goes on searching, and knows why", () => {
  const on = after(searching(), found("m", null, 15_000), ended("m", "declined"), searching());
  expect(on).toMatchObject({ phase: "searching", reason: "declined", match: null });
  expect(
    matchAfter(on, { type: "frame", frame: found("n", "r") as ServerFrame, now: NOW }).reason,
  ).toBeNull();
});

test("the end of an earlier match does not end this one", () => {
  const state = after(searching(), found("m", "r"), ended("old", "partner_left"));
  expect(state.phase).toBe("ready");
  expect(after(searching(), ended("old", "next")).stage).toBe("strict");
});

test("begun again in another page of ours, it is over in this one", () => {
  const replaced = { type: "match.ended", data: { matchId: null, reason: "replaced" } };
  expect(after(searching(), replaced)).toMatchObject({ phase: "ended", reason: "replaced", match: null });
  expect(after(searching(), found("m", "r"), replaced).phase).toBe("ready");
  expect(after(searching(), found("m", "r"), ended("m", "replaced")).phase).toBe("ended");
});

test("who looks for nobody is told nothing", () => {
  const frame = found("m", "r") as ServerFrame;
  expect(matchAfter(IDLE, { type: "frame", frame, now: NOW })).toBe(IDLE);
});

test("a server that falls silent leaves nobody waiting for ever", () => {
  expect(matchAfter(after(searching()), { type: "expire" }).phase).toBe("timeout");
  expect(matchAfter(after(searching(), found("m", null, 15_000)), { type: "expire" })).toMatchObject({
    phase: "ended",
    reason: "unconfirmed",
  });
  const talking = after(searching(), found("m", "r"));
  expect(matchAfter(talking, { type: "expire" })).toBe(talking);
});
