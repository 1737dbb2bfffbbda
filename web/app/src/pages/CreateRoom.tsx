import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Globe, Link2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog, Field } from "../ui.tsx";

export function CreateRoom({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [live, setLive] = useState(false);
  const [visibility, setVisibility] = useState<"public" | "unlisted">("public");
  const create = useMutation({
    mutationFn: () => parlor.api.createRoom({ kind: live ? "live" : "call", name: name.trim(), visibility }),
    onSuccess: async (room) => {
      void queries.invalidateQueries({ queryKey: ["rooms"] });
      await navigate(`/r/${room.id}`);
    },
  });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) create.mutate();
  };

  const choices = [
    { value: "public", icon: Globe, label: t("create.public"), hint: t("create.publicHint") },
    { value: "unlisted", icon: Link2, label: t("create.unlisted"), hint: t("create.unlistedHint") },
  ] as const;

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
        <fieldset className="grid gap-2">
          <legend className="mb-1 font-medium">{t("create.visibility")}</legend>
          {choices.map(({ value, icon: Icon, label, hint }) => (
            <label
              key={value}
              className="flex min-h-14 items-center gap-3 rounded-xl border border-line px-3 py-2 has-checked:border-accent has-checked:bg-tint"
            >
              <input
                type="radio"
                name="visibility"
                className="size-5 accent-accent"
                checked={visibility === value}
                onChange={() => setVisibility(value)}
                data-testid={`visibility-${value}`}
              />
              <Icon aria-hidden className="size-5" />
              <span>
                <span className="block font-medium">{label}</span>
                <span className="block text-sm text-soft">{hint}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <label className="flex min-h-11 items-center gap-3">
          <input
            type="checkbox"
            className="size-5 accent-accent"
            checked={live}
            onChange={(event) => setLive(event.target.checked)}
            data-testid="room-live"
          />
          <span>
            <span className="block font-medium">{t("create.live")}</span>
            <span className="block text-sm text-soft">{t("create.liveHint")}</span>
          </span>
        </label>
        {create.error ? <Alert>{sentence(create.error)}</Alert> : null}
        <div className="flex justify-end gap-2">
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
