import { forwardTo, type Message } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog, Spinner } from "../ui.tsx";
import { Lightbox } from "./Lightbox.tsx";
import { brief } from "./Quote.tsx";
import { type ChatDialog, useChat } from "./view.ts";
import { whenOf } from "./when.ts";

interface DialogsProps {
  open: ChatDialog | null;
  onClose: () => void;
  onNotice: (notice: string) => void;
}

/** What is asked or shown on top of a chat. */
export function Dialogs({ open, onClose, onNotice }: DialogsProps) {
  switch (open?.kind) {
    case "delete":
      return <DeleteDialog message={open.message} onClose={onClose} />;
    case "forward":
      return <ForwardDialog message={open.message} onClose={onClose} onNotice={onNotice} />;
    case "versions":
      return <VersionsDialog message={open.message} onClose={onClose} />;
    case "picture":
      return <Lightbox message={open.message} fileId={open.fileId} onClose={onClose} />;
    default:
      return null;
  }
}

function DeleteDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const { t } = useTranslation();
  const { room, act } = useChat();
  return (
    <Dialog title={t("chat.deleteTitle")} onClose={onClose}>
      <p className="mb-3 line-clamp-4 rounded-xl bg-sunken px-3 py-2 wrap-anywhere">
        {brief(message, t("chat.quoteFile"))}
      </p>
      <p className="mb-4 text-soft">{t("chat.deleteText")}</p>
      <div className="flex flex-wrap justify-end gap-2">
        <Button tone="plain" onClick={onClose}>
          {t("common.cancel")}
        </Button>
        <Button
          tone="danger"
          onClick={() => {
            void act(() => room.acts.delete(message.id));
            onClose();
          }}
          data-testid="confirm-delete"
        >
          {t("chat.delete")}
        </Button>
      </div>
    </Dialog>
  );
}

function ForwardDialog({ message, onClose, onNotice }: { message: Message } & Omit<DialogsProps, "open">) {
  const { t } = useTranslation();
  const { room, act } = useChat();
  const { data, error, isPending } = useQuery({
    queryKey: ["rooms", "mine", "forward"],
    queryFn: async () => {
      const [{ items: rooms }, { items: talks }] = await Promise.all([
        parlor.rooms.mine(),
        parlor.direct.list(),
      ]);
      const direct = talks.map(({ room: talk, people }) => ({
        id: talk.id,
        name:
          talk.name ||
          people
            .filter(({ userId }) => userId !== parlor.api.user?.id)
            .map(({ nickname }) => nickname)
            .join(", "),
      }));
      return [...direct, ...rooms.map(({ id, name }) => ({ id, name }))];
    },
  });
  const forward = (id: string, name: string) => {
    onClose();
    void act(async () => {
      if (id === room.id) room.forward(message);
      else await forwardTo(parlor.api, id, message);
      onNotice(t("chat.forwardDone", { name }));
    });
  };
  const targets = [...new Map((data ?? []).map((it) => [it.id, it])).values()];
  return (
    <Dialog title={t("chat.forwardTo")} onClose={onClose}>
      <p className="mb-3 line-clamp-3 rounded-xl bg-sunken px-3 py-2 wrap-anywhere">{brief(message, "")}</p>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data && targets.length === 0 ? <p className="text-soft">{t("chat.forwardNone")}</p> : null}
      <ul className="grid max-h-80 gap-1 overflow-y-auto">
        {targets.map(({ id, name }) => (
          <li key={id}>
            <Button
              tone="quiet"
              className="w-full justify-start!"
              onClick={() => forward(id, name)}
              data-testid="forward-target"
            >
              <span className="truncate">{name}</span>
            </Button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function VersionsDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const { room } = useChat();
  const { data, error, isPending } = useQuery({
    queryKey: ["versions", message.id, message.editedAt],
    queryFn: () => room.archive.versions(message.id),
  });
  return (
    <Dialog title={t("chat.versions.title")} onClose={onClose}>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      <ol className="grid max-h-96 gap-3 overflow-y-auto">
        {(data ?? []).map(({ text, writtenAt }, index) => (
          <li key={writtenAt} className="border-l-2 border-line pl-3" data-testid="version">
            <p className="text-sm text-soft">
              {index === 0
                ? t("chat.versions.first")
                : t("chat.versions.changed", { when: whenOf(writtenAt, i18n.language) })}
            </p>
            <p className="whitespace-pre-wrap wrap-anywhere">{text}</p>
          </li>
        ))}
      </ol>
    </Dialog>
  );
}
