import "../src/i18n.ts";
import type { Recording, RecordingFile } from "@parlor/sdk";
import i18next from "i18next";
import { expect, test } from "vitest";
import { fileText, isMoving, lengthOf, sizeText } from "../src/recordings/words.ts";

const t = i18next.t;
const file: RecordingFile = {
  fileId: "f",
  kind: "participant",
  userId: "ada",
  nickname: "ada",
  state: "ready",
  interrupted: false,
  container: "webm",
  startsAtMs: 0,
  durationMs: 61_230,
  sizeBytes: 7_340_032,
  sha256: "",
};
const recording: Recording = {
  recordingId: "x",
  callId: "c",
  roomId: "r",
  roomName: "Friday",
  state: "ready",
  startedAt: "2026-01-31T09:30:00.000Z",
  endedAt: "2026-01-31T09:31:05.000Z",
  startedBy: "ada",
  stopReason: "stopped",
  files: [file],
  composed: null,
  mayManage: true,
};

test("files are called by what they show", () => {
  expect(fileText(t, file)).toBe("ada");
  expect(fileText(t, { kind: "screen", nickname: "ada" })).toBe("Screen of ada");
  expect(fileText(t, { kind: "composed", nickname: null })).toBe("Everybody in one video");
  expect(fileText(t, { kind: "participant", nickname: null })).toBe("Somebody");
});

test("sizes are in thousands", () => {
  expect([999, 52_300, 7_340_032, 2_500_000_000].map((bytes) => sizeText(t, bytes, "en"))).toEqual([
    "1 kB",
    "52 kB",
    "7.3 MB",
    "2.5 GB",
  ]);
});

test("a recording is as long as from its start to its stop, or as far as its files reach", () => {
  expect(lengthOf(recording)).toBe(65_000);
  const later = { ...file, startsAtMs: 5_000, durationMs: 60_000 };
  expect(lengthOf({ ...recording, endedAt: null, files: [file, later] })).toBe(65_000);
  expect(lengthOf({ ...recording, endedAt: null, files: [] })).toBeNull();
});

test("what still changes is looked at again", () => {
  expect(isMoving(recording)).toBe(false);
  expect(isMoving({ ...recording, state: "finishing" })).toBe(true);
  expect(isMoving({ ...recording, files: [{ ...file, state: "finishing" }] })).toBe(true);
  expect(isMoving({ ...recording, composed: { state: "running", progress: 0.4, error: null } })).toBe(true);
  expect(isMoving({ ...recording, composed: { state: "failed", progress: 0.4, error: "" } })).toBe(false);
});
