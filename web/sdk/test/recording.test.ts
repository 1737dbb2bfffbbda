import { expect, test } from "vitest";
import type { ServerFrame } from "../src/proto.js";
import { type RecordingNow, recordingAfter, recordingOf } from "../src/recording.js";

const NOW = 1_000_000;
const starting = {
  type: "recording.starting",
  data: { recordingId: "x", startsInMs: 3_000, startedBy: "ada" },
};
const started = { type: "recording.started", data: { recordingId: "x", startedAt: "" } };
const stopped = (recordingId = "x") => ({
  type: "recording.stopped",
  data: { recordingId, reason: "stopped" },
});

const after = (...frames: object[]) =>
  frames.reduce<RecordingNow | null>((now, frame) => recordingAfter(now, frame as ServerFrame, NOW), null);

test("a recording is announced, runs, and is over", () => {
  expect(after(starting)).toEqual({
    recordingId: "x",
    state: "starting",
    startedBy: "ada",
    startsAt: NOW + 3_000,
  });
  expect(after(starting, started)).toEqual({
    recordingId: "x",
    state: "running",
    startedBy: "ada",
    startsAt: null,
  });
  expect(after(starting, started, stopped())).toBeNull();
});

test("the end of an earlier recording is not the end of this one", () => {
  expect(after(starting, stopped("old"))?.recordingId).toBe("x");
});

test("who comes later knows from the call's state; a countdown that was heard goes on", () => {
  const recording = { recordingId: "x", state: "starting", startedAt: null, startedBy: "ada" } as const;
  expect(recordingOf({ recording }, null)?.startsAt).toBeNull();
  expect(recordingOf({ recording }, after(starting))?.startsAt).toBe(NOW + 3_000);
  expect(recordingOf({ recording: { ...recording, state: "running" } }, after(starting))).toEqual({
    recordingId: "x",
    state: "running",
    startedBy: "ada",
    startsAt: null,
  });
  expect(recordingOf({ recording: null }, after(starting))).toBeNull();
});
