import type { Call, CallSnapshot, RecordingNow, RecordingStop } from "@parlor/sdk";
import { Circle, CircleDot, CircleStop, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSecondsLeft } from "../clock.ts";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Button, Dialog, IconButton } from "../ui.tsx";

/** Starts and stops a recording; for those who may. */
export function RecordButton({
  snapshot,
  onProblem,
}: {
  snapshot: CallSnapshot;
  onProblem: (problem: string) => void;
}) {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  const { callId, recording } = snapshot;
  const toggle = async () => {
    if (!callId) return;
    setBusy(true);
    try {
      await (recording ? parlor.recordings.stop(callId) : parlor.recordings.start(callId));
    } catch (error) {
      onProblem(sentence(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <IconButton
      label={t(recording ? "recording.stop" : "recording.start")}
      aria-pressed={recording !== null}
      disabled={busy || !callId}
      onClick={() => void toggle()}
      data-testid="record"
    >
      {recording ? (
        <CircleStop aria-hidden className="size-5 text-danger-ink" />
      ) : (
        <CircleDot aria-hidden className="size-5" />
      )}
    </IconButton>
  );
}

/** There for as long as a recording is about to start or runs, and for everybody: a word, not a colour alone. */
export function RecordingMark({ recording }: { recording: RecordingNow | null }) {
  const { t } = useTranslation();
  if (!recording) return null;
  const running = recording.state === "running";
  return (
    <p
      className={`inline-flex shrink-0 items-center gap-1.5 rounded-full px-2.5 py-1 text-sm font-semibold ${running ? "bg-danger text-white" : "bg-warn-ground text-warn-ink"}`}
      data-testid="recording-mark"
      data-state={recording.state}
    >
      <Circle
        aria-hidden
        className={`size-3 ${running ? "fill-current motion-safe:animate-pulse" : "text-danger-ink"}`}
      />
      {/* Before it starts, the notice has the words where there is little room. */}
      <span className={running ? "" : "max-sm:sr-only"}>
        {t(running ? "recording.mark" : "recording.markStarting")}
      </span>
    </p>
  );
}

interface RecordingNoticeProps {
  call: Call;
  snapshot: CallSnapshot;
  /** One who may stop it, and our own user id. */
  mayRecord: boolean;
  userId: string;
  onLeave: () => void;
}

/** Before it starts: how long until then, and a way out. After its end: why it ended. */
export function RecordingNotice({ call, snapshot, mayRecord, userId, onLeave }: RecordingNoticeProps) {
  const { t } = useTranslation();
  const [ended, dismiss] = useRecordingEnd(call);
  const { recording, callId } = snapshot;
  const starting = recording?.state === "starting" ? recording : null;
  const seconds = useSecondsLeft(starting?.startsAt ?? null);
  // What is read out: each state once, not each second.
  const spoken = starting
    ? t("recording.startingSoon")
    : recording
      ? t("recording.running")
      : ended
        ? t(`recording.ended.${ended}`)
        : "";
  return (
    <section aria-label={t("recording.notices")}>
      <p role="status" className="sr-only">
        {spoken}
      </p>
      {starting ? (
        <div
          className="flex flex-wrap items-center justify-center gap-x-4 gap-y-2 bg-warn-ground px-3 py-2 text-warn-ink"
          data-testid="recording-notice"
        >
          <p className="min-w-0 text-center">
            <strong className="font-semibold tabular-nums">
              {seconds === null || seconds === 0
                ? t("recording.startingSoon")
                : t("recording.starting", { count: seconds })}
            </strong>{" "}
            {t(starting.startedBy === userId ? "recording.startingMine" : "recording.startingHint")}
          </p>
          {mayRecord && callId ? (
            <Button
              tone="plain"
              onClick={() => void parlor.recordings.stop(callId).catch(() => undefined)}
              data-testid="recording-call-off"
            >
              {t("recording.callOff")}
            </Button>
          ) : null}
          {starting.startedBy === userId ? null : (
            <Button tone="danger" onClick={onLeave} data-testid="recording-leave">
              {t("recording.leave")}
            </Button>
          )}
        </div>
      ) : null}
      {ended && !recording ? (
        <div
          className="flex items-center justify-center gap-2 bg-warn-ground pr-1 pl-3 text-warn-ink"
          data-testid="recording-ended"
          data-reason={ended}
        >
          <p className="min-w-0 py-2 text-center">{t(`recording.ended.${ended}`)}</p>
          <IconButton label={t("common.close")} onClick={dismiss} className="text-warn-ink hover:bg-black/10">
            <X aria-hidden className="size-5" />
          </IconButton>
        </div>
      ) : null}
    </section>
  );
}

/** An end as wished is news for this long; any other end stays until it is closed. */
const NEWS_MS = 8_000;

function useRecordingEnd(call: Call): [RecordingStop | null, () => void] {
  const [ended, setEnded] = useState<RecordingStop | null>(null);
  useEffect(() => call.on("recordingStopped", ({ reason }) => setEnded(reason)), [call]);
  useEffect(() => {
    if (ended !== "stopped") return;
    const timer = setTimeout(() => setEnded(null), NEWS_MS);
    return () => clearTimeout(timer);
  }, [ended]);
  return [ended, () => setEnded(null)];
}

/** Asked before one enters a call that is being recorded. Closing it is no consent. */
export function ConsentDialog({ onAccept, onDecline }: { onAccept: () => void; onDecline: () => void }) {
  const { t } = useTranslation();
  const answered = useRef(false);
  const answer = (act: () => void) => () => {
    if (answered.current) return;
    answered.current = true;
    act();
  };
  return (
    <Dialog title={t("recording.consentTitle")} onClose={answer(onDecline)}>
      <div className="grid gap-5" data-testid="recording-consent">
        <p>{t("recording.consent")}</p>
        <div className="flex flex-wrap justify-end gap-2">
          <Button tone="plain" onClick={answer(onDecline)} data-testid="consent-decline">
            {t("recording.consentDecline")}
          </Button>
          <Button onClick={answer(onAccept)} data-testid="consent-accept">
            {t("recording.consentAccept")}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
