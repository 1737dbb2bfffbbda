import type { DirectFrom, Status } from "@parlor/sdk";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { STATUSES } from "../account/AccountMenu.tsx";
import { useAct } from "../account/act.ts";
import { textOf } from "../account/fields.tsx";
import { usePresence, useShowAs } from "../account/me.ts";
import { sentence } from "../errors.ts";
import { isOn } from "../place/place.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Field, Spinner } from "../ui.tsx";
import { Done, Section } from "./parts.tsx";

const FROM = ["everyone", "sharesRoom", "nobody"] as const satisfies DirectFrom[];
const CHOICE =
  "flex min-h-14 cursor-pointer items-center gap-3 rounded-xl border border-line px-4 py-2 has-checked:border-accent has-checked:bg-tint";

/** What others see of one, and who may write. */
export function Privacy() {
  return (
    <>
      <Presence />
      {isOn("directMessages") ? <WhoMayWrite /> : null}
      <Receipts />
    </>
  );
}

function Presence() {
  const { t } = useTranslation();
  const presence = usePresence();
  return (
    <Section title={t("settings.privacy.presence")} intro={t("settings.privacy.presenceIntro")}>
      {presence ? (
        <PresenceForm status={presence.wish?.status ?? "online"} text={presence.wish?.text ?? ""} />
      ) : (
        <Spinner />
      )}
    </Section>
  );
}

function PresenceForm({ status, text }: { status: Status; text: string }) {
  const { t } = useTranslation();
  const showAs = useShowAs();
  const { busy, refusal, run } = useAct();
  const [saved, setSaved] = useState(false);
  const set = async (next: Status, words?: string | null) => {
    setSaved(false);
    setSaved(await run(() => showAs(next, words)));
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const words = textOf(new FormData(event.currentTarget), "text").trim();
    void set(status, words === "" ? null : words);
  };
  return (
    <form onSubmit={submit} className="grid gap-4">
      <fieldset className="grid gap-2 sm:grid-cols-2">
        <legend className="mb-1 font-medium">{t("settings.privacy.status")}</legend>
        {STATUSES.map((it) => (
          <label key={it} className={CHOICE}>
            <input
              type="radio"
              name="status"
              className="size-5 accent-accent"
              checked={status === it}
              onChange={() => void set(it)}
              data-testid={`show-${it}`}
            />
            {t(`account.status.${it}`)}
          </label>
        ))}
      </fieldset>
      {status === "invisible" ? <p className="text-sm text-soft">{t("settings.privacy.invisible")}</p> : null}
      <Field
        label={t("settings.privacy.text")}
        hint={t("settings.privacy.textHint")}
        placeholder={t("settings.privacy.textPlaceholder")}
        name="text"
        defaultValue={text}
        maxLength={100}
        autoComplete="off"
        data-testid="presence-text"
      />
      {refusal ? <Alert>{refusal}</Alert> : null}
      <div className="flex flex-wrap items-center gap-3">
        <Button type="submit" disabled={busy} data-testid="presence-save">
          {t("settings.privacy.save")}
        </Button>
        <Done>{saved ? t("settings.saved") : null}</Done>
      </div>
    </form>
  );
}

function WhoMayWrite() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { data } = useQuery({ queryKey: ["direct-from"], queryFn: () => parlor.direct.takenFrom() });
  const choose = useMutation({
    mutationFn: (from: DirectFrom) => parlor.direct.takeFrom(from),
    onSuccess: (_, from) => queries.setQueryData(["direct-from"], from),
  });
  return (
    <Section title={t("settings.privacy.direct")} intro={t("settings.privacy.directIntro")}>
      <fieldset className="grid gap-2" aria-label={t("settings.privacy.direct")}>
        {FROM.map((from) => (
          <label key={from} className={CHOICE}>
            <input
              type="radio"
              name="from"
              className="size-5 shrink-0 accent-accent"
              checked={(choose.isPending ? choose.variables : data) === from}
              disabled={data === undefined}
              onChange={() => choose.mutate(from)}
              data-testid={`from-${from}`}
            />
            <span>
              <span className="block font-medium">{t(`settings.privacy.from.${from}`)}</span>
              <span className="block text-sm text-soft">{t(`settings.privacy.fromHints.${from}`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {choose.error ? <Alert>{sentence(choose.error)}</Alert> : null}
      <Done>{choose.isSuccess ? t("settings.saved") : null}</Done>
    </Section>
  );
}

function Receipts() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const queryFn = () => parlor.accounts.areReceiptsPrivate();
  const { data } = useQuery({ queryKey: ["receipts-private"], queryFn });
  const choose = useMutation({
    mutationFn: (isPrivate: boolean) => parlor.accounts.keepReceiptsPrivate(isPrivate),
    onSuccess: (_, isPrivate) => queries.setQueryData(["receipts-private"], isPrivate),
  });
  return (
    <Section title={t("settings.privacy.receipts")}>
      <label className={CHOICE}>
        <input
          type="checkbox"
          className="size-5 shrink-0 accent-accent"
          checked={(choose.isPending ? choose.variables : data) ?? false}
          disabled={data === undefined}
          onChange={(event) => choose.mutate(event.currentTarget.checked)}
          data-testid="receipts-private"
        />
        <span>
          <span className="block font-medium">{t("settings.privacy.receiptsPrivate")}</span>
          <span className="block text-sm text-soft">{t("settings.privacy.receiptsHint")}</span>
        </span>
      </label>
      {choose.error ? <Alert>{sentence(choose.error)}</Alert> : null}
      <Done>{choose.isSuccess ? t("settings.saved") : null}</Done>
    </Section>
  );
}
