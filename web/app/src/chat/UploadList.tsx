import type { UploadSnapshot } from "@parlor/sdk";
import { File as FileIcon, RotateCw, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { sizeText } from "../recordings/words.ts";
import type { Chosen } from "./files.ts";

/** The files of a message that is being written: how far they are, and a way to give them up. */
export function UploadList({ chosen, onRemove }: { chosen: Chosen[]; onRemove: (key: number) => void }) {
  const { t } = useTranslation();
  return (
    <ul aria-label={t("chat.attach")} className="flex flex-wrap gap-2">
      {chosen.map((one) => (
        <One key={one.key} upload={one.upload} snapshot={one.snapshot} onRemove={() => onRemove(one.key)} />
      ))}
    </ul>
  );
}

function One({ upload, snapshot, onRemove }: Omit<Chosen, "key"> & { onRemove: () => void }) {
  const { t, i18n } = useTranslation();
  const { name, size } = upload.file;
  const { state, sentBytes, sizeBytes } = snapshot;
  const percent = sizeBytes > 0 ? Math.floor((sentBytes / sizeBytes) * 100) : 100;
  const failed = state === "failed";
  // What the server found wrong with it will not be better the second time.
  const canRetry = failed && snapshot.error !== null;
  const button = "grid size-8 shrink-0 place-items-center rounded-lg hover:bg-sunken pointer-coarse:size-11";
  return (
    <li
      className={`w-60 max-w-full rounded-xl border p-1.5 ${failed ? "border-danger-ink" : "border-line"}`}
      data-testid="upload"
      data-state={state}
    >
      <div className="flex items-center gap-2">
        <Look file={upload.file} />
        <p className="min-w-0 flex-1 leading-tight">
          <span className="block truncate text-sm font-medium">{name}</span>
          <span className="text-xs text-soft">{sizeText(t, size, i18n.language)}</span>
        </p>
        {canRetry ? (
          <button
            type="button"
            aria-label={t("chat.files.retry", { name })}
            className={button}
            onClick={() => upload.start()}
          >
            <RotateCw aria-hidden className="size-4" />
          </button>
        ) : null}
        <button
          type="button"
          aria-label={t(state === "sending" ? "chat.files.cancel" : "chat.files.remove", { name })}
          className={button}
          onClick={onRemove}
          data-testid="remove-upload"
        >
          <X aria-hidden className="size-4" />
        </button>
      </div>
      {state === "sending" ? (
        <progress className="bar mt-1 block h-1.5! w-full" max={100} value={percent} aria-label={name} />
      ) : null}
      <p role="status" className={`text-xs ${failed ? "text-danger-ink" : "text-soft"}`}>
        <Told snapshot={snapshot} percent={percent} />
      </p>
    </li>
  );
}

function Told({ snapshot: { state, error, file }, percent }: { snapshot: UploadSnapshot; percent: number }) {
  const { t } = useTranslation();
  if (state === "sending") return t("chat.files.sending", { percent });
  if (state === "checking") return t("chat.files.checking");
  if (state !== "failed") return t("chat.files.ready");
  if (error) return error.message;
  if (file?.state === "infected") return t("chat.files.infected");
  return file?.fault ? t(`chat.files.fault.${file.fault}`) : t("chat.files.failed");
}

/** A picture as it is, before anybody has looked at it: it is one's own. */
function Look({ file }: { file: File }) {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!/^image\/(png|jpeg|gif|webp)$/.test(file.type)) return;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  if (url) return <img src={url} alt="" className="size-10 shrink-0 rounded-lg object-cover" />;
  return (
    <span className="grid size-10 shrink-0 place-items-center rounded-lg bg-tint text-accent">
      <FileIcon aria-hidden className="size-5" />
    </span>
  );
}
