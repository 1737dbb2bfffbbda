import type { Attachment, Message } from "@parlor/sdk";
import { Download, FileArchive, File as FileIcon, FileText, Music, Play } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { lengthText } from "../clock.ts";
import { sizeText } from "../recordings/words.ts";
import { IconButton } from "../ui.tsx";
import { download, useFile } from "./files.ts";
import { useChat } from "./view.ts";

/** The largest that a picture is shown in the log, in CSS pixels. */
const WIDEST = 360;
const HIGHEST = 280;

/** The files of a message: pictures to look at, films and sounds to play, everything else to take. */
export function Attachments({ message }: { message: Message }) {
  const { t } = useTranslation();
  const { show } = useChat();
  const files = message.content.attachments ?? [];
  if (files.length === 0) return null;
  const pictures = files.filter(({ kind }) => kind === "image");
  return (
    <ul aria-label={t("chat.files.list")} className="mt-1 flex max-w-full flex-wrap gap-1.5">
      {files.map((file) => (
        <li key={file.fileId} className="max-w-full" data-testid="attachment" data-kind={file.kind}>
          {file.kind === "image" ? (
            <Picture
              file={file}
              small={pictures.length > 1}
              onOpen={() => show({ kind: "picture", message, fileId: file.fileId })}
            />
          ) : file.kind === "video" || file.kind === "audio" ? (
            <Playable file={file} />
          ) : (
            <Chip file={file} />
          )}
        </li>
      ))}
    </ul>
  );
}

function Picture({ file, small, onOpen }: { file: Attachment; small: boolean; onOpen: () => void }) {
  const { t } = useTranslation();
  const { url, error } = useFile(file.fileId, file.thumbnail ? "/thumbnail" : "");
  const box = fitted(file, small);
  return (
    <button
      type="button"
      aria-label={t("chat.files.open", { name: file.name })}
      onClick={onOpen}
      // Its place is kept free, so that nothing jumps when it comes.
      style={{ width: box.width, aspectRatio: `${box.width} / ${box.height}` }}
      className="grid max-w-full cursor-zoom-in place-items-center overflow-hidden rounded-xl border border-line bg-sunken text-sm text-soft"
      data-testid="picture"
    >
      {url ? (
        <img src={url} alt={file.name} className="size-full object-cover" data-testid="thumbnail" />
      ) : error ? (
        t("chat.files.gone")
      ) : null}
    </button>
  );
}

function fitted({ width, height }: Attachment, small: boolean): { width: number; height: number } {
  if (small) return { width: 150, height: 150 };
  const [wide, high] = [width ?? 4, height ?? 3];
  const scale = Math.min(WIDEST / wide, HIGHEST / high, 1);
  return { width: Math.max(48, Math.round(wide * scale)), height: Math.max(48, Math.round(high * scale)) };
}

/** A film or a sound; it is fetched when somebody wants to play it. */
function Playable({ file }: { file: Attachment }) {
  const { t, i18n } = useTranslation();
  const [wanted, setWanted] = useState(false);
  const poster = useFile(file.fileId, "/thumbnail", file.thumbnail);
  const { url, error } = useFile(file.fileId, "", wanted);
  const isFilm = file.kind === "video";
  if (url && isFilm) {
    return (
      // biome-ignore lint/a11y/useMediaCaption: it is what somebody sent.
      <video
        src={url}
        controls
        autoPlay
        className="max-h-80 max-w-full rounded-xl"
        aria-label={file.name}
        data-testid="player"
      />
    );
  }
  const size = sizeText(t, file.sizeBytes, i18n.language);
  const length = file.durationMs === null ? null : lengthText(file.durationMs);
  return (
    <div className="grid w-72 max-w-full overflow-hidden rounded-xl border border-line bg-surface">
      {isFilm && poster.url ? <img src={poster.url} alt="" className="max-h-48 w-full object-cover" /> : null}
      <div className="flex items-center gap-2 p-1.5">
        <IconButton
          tone="accent"
          round
          label={t(wanted ? "chat.files.loading" : "chat.files.play", { name: file.name })}
          disabled={wanted && !error}
          onClick={() => setWanted(true)}
          data-testid="play"
        >
          {isFilm ? <Play aria-hidden className="size-5" /> : <Music aria-hidden className="size-5" />}
        </IconButton>
        <Words
          name={file.name}
          note={error ? t("chat.files.gone") : [length, size].filter(Boolean).join(" · ")}
        />
        <Save file={file} />
      </div>
      {url ? (
        // biome-ignore lint/a11y/useMediaCaption: it is what somebody sent.
        <audio src={url} controls autoPlay className="w-full" aria-label={file.name} data-testid="player" />
      ) : null}
    </div>
  );
}

function Chip({ file }: { file: Attachment }) {
  const { t, i18n } = useTranslation();
  const Icon = /zip|gzip|tar/.test(file.mediaType)
    ? FileArchive
    : /text|pdf|document/.test(file.mediaType)
      ? FileText
      : FileIcon;
  return (
    <div
      className="flex w-72 max-w-full items-center gap-2 rounded-xl border border-line bg-surface p-1.5"
      data-testid="chip"
    >
      <span className="grid size-11 shrink-0 place-items-center rounded-lg bg-tint text-accent">
        <Icon aria-hidden className="size-6" />
      </span>
      <Words name={file.name} note={sizeText(t, file.sizeBytes, i18n.language)} />
      <Save file={file} />
    </div>
  );
}

function Words({ name, note }: { name: string; note: string }) {
  return (
    <p className="min-w-0 flex-1 leading-tight">
      <span className="block truncate font-medium">{name}</span>
      <span className="text-sm text-soft">{note}</span>
    </p>
  );
}

function Save({ file }: { file: Attachment }) {
  const { t } = useTranslation();
  const { act } = useChat();
  return (
    <IconButton
      label={t("chat.files.download", { name: file.name })}
      onClick={() => void act(() => download(file))}
      data-testid="download"
    >
      <Download aria-hidden className="size-5" />
    </IconButton>
  );
}
