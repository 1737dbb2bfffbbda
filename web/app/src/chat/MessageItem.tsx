import type { Entry } from "@parlor/sdk";
import { Pencil, Trash2 } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button, IconButton } from "../ui.tsx";

interface MessageItemProps {
  entry: Entry;
  /** The first of a group: it names the author. */
  first: boolean;
  mine: boolean;
  mayDelete: boolean;
  onEdit: (text: string) => Promise<void>;
  onDelete: () => Promise<void>;
  onRetry: () => void;
  onDiscard: () => void;
}

export function MessageItem({
  entry,
  first,
  mine,
  mayDelete,
  onEdit,
  onDelete,
  onRetry,
  onDiscard,
}: MessageItemProps) {
  const { t, i18n } = useTranslation();
  const [editing, setEditing] = useState(false);
  const { message, state, error } = entry;
  const time = new Date(message.createdAt);
  const clock = new Intl.DateTimeFormat(i18n.language, { timeStyle: "short" });
  const settled = state === "sent" && !message.deleted;
  return (
    <li
      className={`group relative rounded-lg px-2 py-0.5 focus-within:bg-sunken hover:bg-sunken ${first ? "mt-3" : ""}`}
      data-testid="message"
      data-state={state}
    >
      {first ? (
        <p className="flex items-baseline gap-2">
          <span className={`truncate font-semibold ${mine ? "text-accent" : ""}`}>
            {message.sender.nickname}
          </span>
          <time dateTime={message.createdAt} className="shrink-0 text-xs text-soft">
            {clock.format(time)}
          </time>
        </p>
      ) : null}
      {editing ? (
        <Editor
          text={message.content.text}
          onCancel={() => setEditing(false)}
          onSave={async (text) => {
            await onEdit(text);
            setEditing(false);
          }}
        />
      ) : (
        <p className={`whitespace-pre-wrap wrap-anywhere ${state === "sent" ? "" : "text-soft"}`}>
          {message.deleted ? (
            <em className="text-soft">{t("chat.deleted")}</em>
          ) : (
            <span data-testid="text">{message.content.text}</span>
          )}
          {message.editedAt && !message.deleted ? (
            <span className="ml-2 text-xs text-soft">({t("chat.edited")})</span>
          ) : null}
          {state === "sending" ? <span className="ml-2 text-xs">{t("chat.sending")}</span> : null}
        </p>
      )}
      {state === "failed" ? (
        <div className="flex flex-wrap items-center gap-2 text-sm text-danger-ink">
          <span role="alert">{error}</span>
          <Button tone="plain" onClick={onRetry} data-testid="retry">
            {t("chat.retry")}
          </Button>
          <Button tone="quiet" onClick={onDiscard} data-testid="discard">
            {t("chat.discard")}
          </Button>
        </div>
      ) : null}
      {settled && !editing && (mine || mayDelete) ? (
        <div className="absolute -top-4 right-1 flex rounded-xl border border-line bg-surface opacity-0 shadow-sm group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:static pointer-coarse:w-fit pointer-coarse:border-0 pointer-coarse:bg-transparent pointer-coarse:opacity-100 pointer-coarse:shadow-none">
          {mine ? (
            <IconButton label={t("chat.edit")} onClick={() => setEditing(true)} data-testid="edit">
              <Pencil aria-hidden className="size-4" />
            </IconButton>
          ) : null}
          <IconButton label={t("chat.delete")} onClick={() => void onDelete()} data-testid="delete">
            <Trash2 aria-hidden className="size-4" />
          </IconButton>
        </div>
      ) : null}
    </li>
  );
}

function Editor({
  text,
  onSave,
  onCancel,
}: {
  text: string;
  onSave: (text: string) => Promise<void>;
  onCancel: () => void;
}) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState(text);
  const save = (event?: FormEvent) => {
    event?.preventDefault();
    if (draft.trim() && draft.trim() !== text) void onSave(draft.trim());
    else onCancel();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      onCancel();
    } else if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      save();
    }
  };
  return (
    <form onSubmit={save} className="grid gap-2 py-1">
      <textarea
        // biome-ignore lint/a11y/noAutofocus: the user has just asked to edit this.
        autoFocus
        rows={2}
        aria-label={t("chat.editing")}
        className="field"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={onKeyDown}
        data-testid="edit-text"
      />
      <div className="flex gap-2">
        <Button type="submit" data-testid="save">
          {t("chat.save")}
        </Button>
        <Button tone="plain" onClick={onCancel}>
          {t("common.cancel")}
        </Button>
      </div>
    </form>
  );
}
