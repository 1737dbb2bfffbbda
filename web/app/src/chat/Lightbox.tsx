import type { Message } from "@parlor/sdk";
import { ChevronLeft, ChevronRight, Download, X } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "../ui.tsx";
import { download, useFile } from "./files.ts";

/** A picture as large as the page, and the others of its message. */
export function Lightbox({
  message,
  fileId,
  onClose,
}: {
  message: Message;
  fileId: string;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  const pictures = (message.content.attachments ?? []).filter(({ kind }) => kind === "image");
  const [index, setIndex] = useState(() =>
    Math.max(
      0,
      pictures.findIndex((file) => file.fileId === fileId),
    ),
  );
  const file = pictures[index];
  useEffect(() => {
    const element = dialog.current;
    if (!element?.open) element?.showModal();
    return () => element?.close();
  }, []);
  if (!file) return null;
  const turn = (by: number) => setIndex(Math.max(0, Math.min(pictures.length - 1, index + by)));
  const onKeyDown = (event: KeyboardEvent) => {
    // Not every browser closes a dialog by itself.
    if (event.key === "Escape") dialog.current?.close();
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  };
  const light = "text-white! hover:bg-white/15!";
  return (
    <dialog
      ref={dialog}
      aria-label={file.name}
      onClose={onClose}
      onKeyDown={onKeyDown}
      className="m-0 h-dvh max-h-none w-dvw max-w-none bg-black/90 text-white"
      data-testid="lightbox"
    >
      <div className="flex h-full flex-col">
        <div className="flex items-center gap-1 p-2">
          <p className="min-w-0 flex-1 truncate pl-2">{file.name}</p>
          <IconButton
            label={t("chat.files.download", { name: file.name })}
            className={light}
            onClick={() => void download(file)}
          >
            <Download aria-hidden className="size-5" />
          </IconButton>
          <IconButton label={t("common.close")} className={light} onClick={() => dialog.current?.close()}>
            <X aria-hidden className="size-5" />
          </IconButton>
        </div>
        <div className="relative flex min-h-0 flex-1 items-center justify-center p-2">
          <Whole key={file.fileId} fileId={file.fileId} name={file.name} />
          {index > 0 ? (
            <IconButton
              round
              label={t("chat.files.previous")}
              className={`absolute! left-2 bg-black/50 ${light}`}
              onClick={() => turn(-1)}
            >
              <ChevronLeft aria-hidden />
            </IconButton>
          ) : null}
          {index < pictures.length - 1 ? (
            <IconButton
              round
              label={t("chat.files.next")}
              className={`absolute! right-2 bg-black/50 ${light}`}
              onClick={() => turn(1)}
            >
              <ChevronRight aria-hidden />
            </IconButton>
          ) : null}
        </div>
      </div>
    </dialog>
  );
}

function Whole({ fileId, name }: { fileId: string; name: string }) {
  const { t } = useTranslation();
  const { url, error } = useFile(fileId, "");
  if (url) return <img src={url} alt={name} className="max-h-full max-w-full object-contain" />;
  return <p role="status">{error ? t("chat.files.gone") : t("common.loading")}</p>;
}
