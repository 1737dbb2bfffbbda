import { type FormEvent, type KeyboardEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "../ui.tsx";

interface EditorProps {
  text: string;
  onSave: (text: string) => Promise<void>;
  onCancel: () => void;
}

/** Changes a message in its place. */
export function Editor({ text, onSave, onCancel }: EditorProps) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState(text);
  const id = useId();
  const save = (event?: FormEvent) => {
    event?.preventDefault();
    if (draft.trim() && draft.trim() !== text) void onSave(draft.trim());
    else onCancel();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Escape") onCancel();
    else if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      save();
    }
  };
  return (
    <form onSubmit={save} className="grid gap-2 py-1">
      <textarea
        // biome-ignore lint/a11y/noAutofocus: the user has just asked to edit this.
        autoFocus
        rows={Math.min(6, draft.split("\n").length + 1)}
        aria-label={t("chat.editing")}
        aria-describedby={id}
        className="field resize-none"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onFocus={(event) => event.target.setSelectionRange(draft.length, draft.length)}
        onKeyDown={onKeyDown}
        data-testid="edit-text"
      />
      <div className="flex flex-wrap items-center gap-2">
        <Button type="submit" className="min-h-9 px-3 text-sm" data-testid="save">
          {t("chat.save")}
        </Button>
        <Button tone="plain" className="min-h-9 px-3 text-sm" onClick={onCancel}>
          {t("common.cancel")}
        </Button>
        <p id={id} className="text-sm text-soft pointer-coarse:hidden">
          {t("chat.editHint")}
        </p>
      </div>
    </form>
  );
}
