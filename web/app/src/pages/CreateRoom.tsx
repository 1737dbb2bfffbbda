import type { MadeKind, RoomChange, Visibility } from "@parlor/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ChevronDown } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { Check, Choice, Lines } from "../hub/fields.tsx";
import { KindIcon } from "../hub/kinds.tsx";
import { isKindOn } from "../place/place.ts";
import { useCategories } from "../rooms/words.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog, Field } from "../ui.tsx";

const KINDS = ["call", "group", "forum", "broadcast", "live"] as const satisfies MadeKind[];
const LEVELS = ["general", "mature", "adult", "extreme"] as const;

export function CreateRoom({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [kind, setKind] = useState<MadeKind>("call");
  const [visibility, setVisibility] = useState<Visibility>("public");
  const [settings, setSettings] = useState<RoomChange>({});
  const set = (change: RoomChange) => setSettings((before) => ({ ...before, ...change }));
  const create = useMutation({
    mutationFn: () =>
      parlor.rooms.make({
        kind,
        name: name.trim(),
        visibility,
        ...(Object.keys(settings).length > 0 ? { settings } : {}),
      }),
    onSuccess: async (room) => {
      void queries.invalidateQueries({ queryKey: ["rooms"] });
      await parlor.inbox.refresh().catch(() => undefined);
      onClose();
      await navigate(`/r/${room.id}`);
    },
  });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) create.mutate();
  };

  return (
    <Dialog title={t("create.title")} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-5">
        <Field
          label={t("create.name")}
          placeholder={t("create.placeholder")}
          value={name}
          maxLength={100}
          required
          onChange={(event) => setName(event.target.value)}
          data-testid="room-name"
        />
        <fieldset className="grid gap-1">
          <legend className="mb-1 font-medium">{t("rooms.kindLabel")}</legend>
          {KINDS.filter(isKindOn).map((value) => (
            <Option
              key={value}
              group="kind"
              checked={kind === value}
              onChoose={() => setKind(value)}
              icon={<KindIcon kind={value} />}
              label={t(`rooms.kind.${value}`)}
              hint={t(`rooms.kindHint.${value}`)}
              testId={value === "live" ? "room-live" : `kind-${value}`}
            />
          ))}
        </fieldset>
        <fieldset className="grid gap-1">
          <legend className="mb-1 font-medium">{t("create.visibility")}</legend>
          {(["public", "unlisted", "private"] as const).map((value) => (
            <Option
              key={value}
              group="visibility"
              checked={visibility === value}
              onChoose={() => setVisibility(value)}
              label={t(`rooms.visibility.${value}`)}
              hint={t(`rooms.visibilityHint.${value}`)}
              testId={`visibility-${value}`}
            />
          ))}
        </fieldset>
        <More settings={settings} onChange={set} />
        {create.error ? <Alert>{sentence(create.error)}</Alert> : null}
        <div className="sticky -bottom-5 -mx-5 -mb-5 flex justify-end gap-2 border-t border-line bg-surface px-5 py-3">
          <Button tone="plain" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={!name.trim() || create.isPending} data-testid="create-submit">
            {t("create.submit")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** What most rooms do without; all of it can be settled later too. */
function More({ settings, onChange }: { settings: RoomChange; onChange: (change: RoomChange) => void }) {
  const { t } = useTranslation();
  const categories = useCategories();
  return (
    <details className="group">
      <summary
        className="flex min-h-11 cursor-pointer list-none items-center gap-2 font-medium text-accent"
        data-testid="create-more"
      >
        <ChevronDown aria-hidden className="size-5 group-open:rotate-180" />
        {t("rooms.more_settings")}
      </summary>
      <div className="grid gap-4 pt-2">
        <Lines
          label={t("rooms.description")}
          value={settings.description ?? ""}
          longest={1000}
          rows={2}
          onChange={(description) => onChange({ description })}
          testId="create-description"
        />
        <Choice
          label={t("rooms.categoryLabel")}
          value={settings.category ?? ""}
          options={[["", t("rooms.noCategory")], ...categories]}
          onChange={(category) => onChange({ category: category || null })}
          testId="create-category"
        />
        <Choice
          label={t("rooms.levelLabel")}
          hint={t("rooms.levelHint")}
          value={settings.contentLevel ?? "general"}
          options={LEVELS.map((it) => [it, t(`rooms.level.${it}`)] as const)}
          onChange={(contentLevel) => onChange({ contentLevel })}
          testId="create-level"
        />
        <Check
          label={t("rooms.joinRequests")}
          hint={t("rooms.joinRequestsHint")}
          on={settings.joinRequests ?? false}
          onChange={(joinRequests) => onChange({ joinRequests })}
          testId="create-asking"
        />
        <Field
          label={t("rooms.pin")}
          hint={t("rooms.pinHint")}
          inputMode="numeric"
          pattern="[0-9]{4,12}"
          maxLength={12}
          autoComplete="off"
          value={settings.pin ?? ""}
          onChange={(event) => onChange({ pin: event.target.value || null })}
          data-testid="create-pin"
        />
      </div>
    </details>
  );
}

interface OptionProps {
  group: string;
  checked: boolean;
  onChoose: () => void;
  icon?: ReactNode;
  label: string;
  hint: string;
  testId: string;
}

function Option({ group, checked, onChoose, icon, label, hint, testId }: OptionProps) {
  return (
    <label className="flex min-h-12 items-center gap-3 rounded-xl border border-line px-3 py-1.5 has-checked:border-accent has-checked:bg-tint">
      <input
        type="radio"
        name={group}
        className="size-5 shrink-0 accent-accent"
        checked={checked}
        onChange={onChoose}
        data-testid={testId}
      />
      {icon}
      <span>
        <span className="block font-medium">{label}</span>
        <span className="block text-sm text-soft">{hint}</span>
      </span>
    </label>
  );
}
