import type { Call, RecordingStarting, ServerFrame } from "./proto.js";

/** The recording of a call, while it is about to start or runs. */
export interface RecordingNow {
  recordingId: string;
  state: "starting" | "running";
  startedBy: string;
  /** Milliseconds since 1970 by this page's clock; null when that is not known, or over. */
  startsAt: number | null;
}

/** What the call's state says of it, to one who has just come (again). */
export function recordingOf(call: Pick<Call, "recording">, before: RecordingNow | null): RecordingNow | null {
  const { recording } = call;
  if (!recording) return null;
  const { recordingId, state, startedBy } = recording;
  const known = before?.recordingId === recordingId ? before.startsAt : null;
  return { recordingId, state, startedBy, startsAt: state === "starting" ? known : null };
}

/** The recording after a frame that concerns it. */
export function recordingAfter(
  before: RecordingNow | null,
  frame: ServerFrame,
  now: number,
): RecordingNow | null {
  switch (frame.type) {
    case "recording.starting":
      return starting(frame.data, now);
    case "recording.started": {
      const { recordingId } = frame.data;
      const startedBy = before?.recordingId === recordingId ? before.startedBy : "";
      return { recordingId, state: "running", startedBy, startsAt: null };
    }
    case "recording.stopped":
      // The end of an earlier one is no news of this one.
      return before?.recordingId === frame.data.recordingId ? null : before;
    default:
      return before;
  }
}

function starting({ recordingId, startsInMs, startedBy }: RecordingStarting, now: number): RecordingNow {
  return { recordingId, state: "starting", startedBy, startsAt: now + startsInMs };
}
