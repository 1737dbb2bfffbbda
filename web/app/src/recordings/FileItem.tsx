import type { Recording, RecordingFile } from "@parlor/sdk";
import { Clapperboard, Download, MonitorUp, Play, Trash2, UserRound, X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { lengthText } from "../clock.ts";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, IconButton } from "../ui.tsx";
import { fileText, sizeText } from "./words.ts";

const ICONS = { participant: UserRound, screen: MonitorUp, composed: Clapperboard };

interface FileItemProps {
  recording: Recording;
  file: RecordingFile;
  onDelete: (() => void) | null;
}

export function FileItem({ recording, file, onDelete }: FileItemProps) {
  const { t } = useTranslation();
  const [url, setUrl] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const name = fileText(t, file);
  const ready = file.state === "ready";
  const Icon = ICONS[file.kind];

  const withLink = async (use: (url: string) => void) => {
    setProblem(null);
    try {
      use((await parlor.recordings.link(recording.recordingId, file.fileId)).url);
    } catch (error) {
      setProblem(sentence(error));
    }
  };

  return (
    <li
      className="grid gap-3 rounded-xl border border-line p-3"
      data-testid="recording-file"
      data-kind={file.kind}
      data-nickname={file.nickname ?? ""}
      data-state={file.state}
    >
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Icon aria-hidden className="size-5 shrink-0 text-accent" />
        <Facts name={name} file={file} />
        {ready ? (
          <div className="ml-auto flex items-center gap-1">
            <Button
              tone="plain"
              aria-label={url ? t("recordings.hide") : t("recordings.playOf", { file: name })}
              aria-expanded={url !== null}
              onClick={() => (url ? setUrl(null) : void withLink(setUrl))}
              data-testid="play"
            >
              {url ? <X aria-hidden className="size-5" /> : <Play aria-hidden className="size-5" />}
              {t(url ? "common.close" : "recordings.play")}
            </Button>
            <IconButton
              label={t("recordings.downloadOf", { file: name })}
              onClick={() => void withLink(save)}
              data-testid="download"
            >
              <Download aria-hidden className="size-5" />
            </IconButton>
            {onDelete ? (
              <IconButton
                label={t("recordings.deleteOf", { file: name })}
                onClick={onDelete}
                data-testid="delete-file"
              >
                <Trash2 aria-hidden className="size-5" />
              </IconButton>
            ) : null}
          </div>
        ) : null}
      </div>
      {problem ? <Alert>{problem}</Alert> : null}
      {url ? (
        // biome-ignore lint/a11y/useMediaCaption: people talked here; there is no text of it.
        <video
          key={url}
          controls
          autoPlay
          playsInline
          src={url}
          aria-label={t("recordings.player", { file: name })}
          onError={() => setProblem(t("recordings.cannotPlay"))}
          className="aspect-video w-full rounded-xl bg-black"
          data-testid="player"
        />
      ) : null}
    </li>
  );
}

function Facts({ name, file }: { name: string; file: RecordingFile }) {
  const { t, i18n } = useTranslation();
  const { durationMs, sizeBytes, state, interrupted } = file;
  const facts = [
    durationMs === null ? "" : lengthText(durationMs),
    sizeBytes === null ? "" : sizeText(t, sizeBytes, i18n.language),
    state === "ready" ? "" : t(`recordings.fileStates.${state}`),
  ].filter(Boolean);
  return (
    <div className="min-w-0 flex-1 basis-40">
      <h3 className="font-medium wrap-anywhere">{name}</h3>
      <p className="text-sm text-soft tabular-nums">{facts.join(" · ")}</p>
      {interrupted ? (
        <p className="mt-1 text-sm text-warn-ink" data-testid="interrupted">
          <strong className="font-semibold">{t("recordings.interrupted")}.</strong>{" "}
          {t("recordings.interruptedHint")}
        </p>
      ) : null}
    </div>
  );
}

/** Hands a file to the browser's downloads, under the name that the server gives it. */
function save(url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  document.body.append(link);
  link.click();
  link.remove();
}
