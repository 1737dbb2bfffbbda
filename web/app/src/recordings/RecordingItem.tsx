import type { Recording, RecordingFile } from "@parlor/sdk";
import { Clapperboard, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { lengthText } from "../clock.ts";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { FileItem } from "./FileItem.tsx";
import { fileText, isMoving, lengthOf } from "./words.ts";

interface RecordingItemProps {
  recording: Recording;
  /** Something was done to it: look again. */
  onChanged: () => Promise<unknown>;
}

export function RecordingItem({ recording, onChanged }: RecordingItemProps) {
  const { t } = useTranslation();
  const [deleting, setDeleting] = useState<RecordingFile | "all" | null>(null);
  const { recordingId, files, state, stopReason, mayManage } = recording;
  const name = recording.roomName || t("recordings.unnamed");
  const odd = stopReason && stopReason !== "stopped" && stopReason !== "call_ended" ? stopReason : null;

  return (
    <li
      className="grid gap-4 rounded-2xl border border-line bg-surface p-4 shadow-sm sm:p-5"
      data-testid="recording"
      data-state={state}
    >
      <Heading name={name} recording={recording} />
      {odd ? <p className="text-warn-ink">{t(`recordings.ended.${odd}`)}</p> : null}
      {files.length === 0 && state !== "starting" ? (
        <p className="text-soft">{t("recordings.noFiles")}</p>
      ) : null}
      <ul aria-label={t("recordings.files", { name })} className="grid gap-2">
        {files.map((file) => (
          <FileItem
            key={file.fileId}
            recording={recording}
            file={file}
            onDelete={mayManage ? () => setDeleting(file) : null}
          />
        ))}
      </ul>
      {mayManage && (state === "ready" || state === "failed") ? (
        <div className="flex flex-wrap items-center gap-3 border-t border-line pt-4">
          <Compose recording={recording} onChanged={onChanged} />
          <Button
            tone="quiet"
            className="ml-auto text-danger-ink!"
            onClick={() => setDeleting("all")}
            data-testid="delete"
          >
            <Trash2 aria-hidden className="size-5" />
            {t("recordings.deleteAll")}
          </Button>
        </div>
      ) : null}
      {deleting ? (
        <DeleteDialog
          what={deleting === "all" ? name : fileText(t, deleting)}
          work={() =>
            deleting === "all"
              ? parlor.recordings.delete(recordingId)
              : parlor.recordings.deleteFile(recordingId, deleting.fileId)
          }
          onDone={onChanged}
          onClose={() => setDeleting(null)}
        />
      ) : null}
    </li>
  );
}

function Heading({ name, recording }: { name: string; recording: Recording }) {
  const { t, i18n } = useTranslation();
  const moment = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
  const { startedAt, state } = recording;
  const length = lengthOf(recording);
  return (
    <div className="flex flex-wrap items-start gap-x-4 gap-y-1">
      <div className="min-w-0 flex-1 basis-60">
        <h2 className="text-lg font-semibold wrap-anywhere">{name}</h2>
        <p className="flex flex-wrap gap-x-3 text-soft">
          {startedAt ? (
            <time dateTime={startedAt}>
              {t("recordings.startedAt", { when: moment.format(new Date(startedAt)) })}
            </time>
          ) : (
            t("recordings.notStarted")
          )}
          {length === null ? null : <span>{t("recordings.length", { length: lengthText(length) })}</span>}
        </p>
      </div>
      <span
        className={`rounded-md px-2 py-0.5 text-sm font-medium ${state === "running" ? "bg-danger text-white" : state === "failed" ? "bg-warn-ground text-warn-ink" : "bg-sunken"}`}
      >
        {t(`recordings.states.${state}`)}
      </span>
    </div>
  );
}

/** The job that makes one video of all files: begin it, see how far it is, call it off. */
function Compose({ recording, onChanged }: RecordingItemProps) {
  const { t } = useTranslation();
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { recordingId, composed, files } = recording;
  const act = async (work: Promise<void>) => {
    setProblem(null);
    setBusy(true);
    try {
      await work;
      await onChanged();
    } catch (error) {
      setProblem(sentence(error));
    } finally {
      setBusy(false);
    }
  };
  const working = composed?.state === "queued" || composed?.state === "running";
  if (working) {
    return (
      <Progress
        queued={composed.state === "queued"}
        progress={composed.progress}
        busy={busy}
        onCancel={() => void act(parlor.recordings.cancelComposition(recordingId))}
      />
    );
  }
  const done = files.some(({ kind }) => kind === "composed");
  const outcome =
    composed?.state === "failed"
      ? t("recordings.composeFailed", { reason: composed.error ?? t("recordings.composeUnknown") })
      : composed?.state === "cancelled"
        ? t("recordings.composeCancelled")
        : (composed?.error ?? null);
  return (
    <>
      {files.some(({ state }) => state === "ready") && !isMoving(recording) ? (
        <Button
          tone="plain"
          disabled={busy}
          onClick={() => void act(parlor.recordings.compose(recordingId))}
          data-testid="compose"
        >
          <Clapperboard aria-hidden className="size-5" />
          {t(done ? "recordings.composeAgain" : "recordings.compose")}
        </Button>
      ) : null}
      {problem ? (
        <Alert>{problem}</Alert>
      ) : outcome ? (
        <p role="status" className="text-warn-ink" data-testid="compose-outcome">
          {outcome}
        </p>
      ) : null}
    </>
  );
}

interface ProgressProps {
  queued: boolean;
  /** 0 to 1. */
  progress: number;
  busy: boolean;
  onCancel: () => void;
}

function Progress({ queued, progress, busy, onCancel }: ProgressProps) {
  const { t } = useTranslation();
  const percent = Math.round(progress * 100);
  return (
    <div className="flex min-w-0 flex-1 basis-72 flex-wrap items-center gap-x-3 gap-y-1">
      <p className="w-full text-sm tabular-nums">
        {queued ? t("recordings.queued") : t("recordings.composing", { percent })}
      </p>
      <progress
        aria-label={t("recordings.composeProgress")}
        max={100}
        // Without a value it is a bar of unknown length.
        value={queued ? undefined : percent}
        className="bar min-w-24 flex-1"
        data-testid="compose-progress"
      />
      <Button tone="plain" disabled={busy} onClick={onCancel} data-testid="compose-cancel">
        {t("recordings.composeCancel")}
      </Button>
    </div>
  );
}

interface DeleteDialogProps {
  what: string;
  work: () => Promise<void>;
  onDone: () => Promise<unknown>;
  onClose: () => void;
}

function DeleteDialog({ what, work, onDone, onClose }: DeleteDialogProps) {
  const { t } = useTranslation();
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const act = async () => {
    setBusy(true);
    try {
      await work();
      await onDone();
      onClose();
    } catch (error) {
      setProblem(sentence(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("recordings.deleteTitle", { what })} onClose={onClose}>
      <div className="grid gap-5">
        <p>{t("recordings.deleteText")}</p>
        {problem ? <Alert>{problem}</Alert> : null}
        <div className="flex justify-end gap-2">
          <Button tone="plain" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button tone="danger" disabled={busy} onClick={() => void act()} data-testid="delete-confirm">
            {t("recordings.deleteConfirm")}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
