import type { Entry, Message } from "@parlor/sdk";
import { Flag, Pencil, Trash2 } from "lucide-react";
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
  onReport: () => void;
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
  onReport,
  onRetry,
  onDiscard,
}: MessageItemProps) {
  const { t } = useTranslation();
  const [editing, setEditing] = useState(false);
  const { message, state, error } = entry;
  const settled = state === "sent" && !message.deleted;
  return (
    <li
      className={`group relative rounded-lg px-2 py-0.5 focus-within:bg-sunken hover:bg-sunken ${first ? "mt-3" : ""} ${mine ? "" : "pointer-coarse:min-h-11"} ${mine ? "" : mayDelete ? "pointer-coarse:pr-24" : "pointer-coarse:pr-12"}`}
      data-testid="message"
      data-state={state}
    >
      {first ? <Byline message={message} mine={mine} /> : null}
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
        <Text message={message} sending={state === "sending"} />
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
      {settled && !editing ? (
        <Actions
          onEdit={mine ? () => setEditing(true) : null}
          onDelete={mine || mayDelete ? () => void onDelete() : null}
          onReport={mine ? null : onReport}
        />
      ) : null}
    </li>
  );
}

function Byline({ message, mine }: { message: Message; mine: boolean }) {
  const { i18n } = useTranslation();
  const clock = new Intl.DateTimeFormat(i18n.language, { timeStyle: "short" });
  return (
    <p className="flex items-baseline gap-2">
      <span className={`truncate font-semibold ${mine ? "text-accent" : ""}`}>{message.sender.nickname}</span>
      <time dateTime={message.createdAt} className="shrink-0 text-xs text-soft">
        {clock.format(new Date(message.createdAt))}
      </time>
    </p>
  );
}

function Text({ message, sending }: { message: Message; sending: boolean }) {
  const { t } = useTranslation();
  if (message.deleted) {
    return (
      <p>
        <em className="text-soft">{t("chat.deleted")}</em>
      </p>
    );
  }
  return (
    <p className={`whitespace-pre-wrap wrap-anywhere ${sending ? "text-soft" : ""}`}>
      <span data-testid="text">{message.content.text}</span>
      {message.editedAt ? <span className="ml-2 text-xs text-soft">({t("chat.edited")})</span> : null}
      {sending ? <span className="ml-2 text-xs">{t("chat.sending")}</span> : null}
    </p>
  );
}

/** Shown when the message is pointed at or has the focus; always where there is nothing to point with. */
function Actions({
  onEdit,
  onDelete,
  onReport,
}: {
  onEdit: (() => void) | null;
  onDelete: (() => void) | null;
  onReport: (() => void) | null;
}) {
  const { t } = useTranslation();
  return (
    <div
      className={`absolute -top-4 right-1 flex rounded-xl border border-line bg-surface opacity-0 shadow-sm group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:border-0 pointer-coarse:bg-transparent pointer-coarse:opacity-100 pointer-coarse:shadow-none ${onEdit ? "pointer-coarse:static pointer-coarse:w-fit" : "pointer-coarse:top-0"}`}
    >
      {onEdit ? (
        <IconButton label={t("chat.edit")} onClick={onEdit} data-testid="edit">
          <Pencil aria-hidden className="size-4" />
        </IconButton>
      ) : null}
      {onDelete ? (
        <IconButton label={t("chat.delete")} onClick={onDelete} data-testid="delete">
          <Trash2 aria-hidden className="size-4" />
        </IconButton>
      ) : null}
      {onReport ? (
        <IconButton label={t("safety.reportMessage")} onClick={onReport} data-testid="report-message">
          <Flag aria-hidden className="size-4" />
        </IconButton>
      ) : null}
    </div>
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
