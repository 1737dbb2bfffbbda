import type { UserEntry } from "@parlor/sdk";
import { MessageSquare, Shuffle, UserRoundX, Video } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { useSession } from "../session.tsx";
import { Alert, Button, Field, Page } from "../ui.tsx";
import { BannedNotice } from "./BannedNotice.tsx";

type Problem = "nickname" | "birthYear" | "adult";

/** The door: shown in place of any page that needs a name. */
export function Enter() {
  const { t } = useTranslation();
  const { banned, forgetBan } = useSession();
  return (
    <Page title={t("enter.title")}>
      <div className="grid items-center gap-8 lg:grid-cols-2 lg:gap-16">
        <Welcome />
        {banned ? <BannedNotice banned={banned} onRetry={forgetBan} /> : <EnterForm />}
      </div>
    </Page>
  );
}

function check({ nickname, birthYear, adult }: UserEntry): Problem | null {
  if (!/^[a-zA-Z0-9_-]{2,50}$/.test(nickname)) return "nickname";
  if (birthYear < 1900 || birthYear > new Date().getFullYear()) return "birthYear";
  return adult ? null : "adult";
}

function EnterForm() {
  const { t } = useTranslation();
  const { enter } = useSession();
  const [problem, setProblem] = useState<Problem | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const entry: UserEntry = {
      nickname: String(fields.get("nickname")).trim(),
      birthYear: Number(fields.get("birthYear")),
      adult: fields.has("adult"),
    };
    const found = check(entry);
    setProblem(found);
    setRefusal(null);
    if (found) {
      form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
      return;
    }
    setBusy(true);
    try {
      await enter(entry);
    } catch (error) {
      setRefusal(sentence(error));
      setBusy(false);
    }
  };

  return (
    <form
      noValidate
      onSubmit={submit}
      className="grid gap-5 rounded-2xl border border-line bg-surface p-5 shadow-sm sm:p-6"
    >
      <h2 className="text-xl font-semibold">{t("enter.title")}</h2>
      <Field
        label={t("enter.nickname")}
        hint={t("enter.nicknameHint")}
        error={problem === "nickname" ? t("enter.badNickname") : undefined}
        name="nickname"
        autoComplete="nickname"
        autoCapitalize="off"
        spellCheck={false}
        maxLength={50}
        data-testid="nickname"
      />
      <Field
        label={t("enter.birthYear")}
        error={problem === "birthYear" ? t("enter.badYear") : undefined}
        name="birthYear"
        inputMode="numeric"
        autoComplete="bday-year"
        maxLength={4}
        data-testid="birth-year"
      />
      <Adult wrong={problem === "adult"} />
      {refusal ? <Alert>{refusal}</Alert> : null}
      <Button type="submit" disabled={busy} data-testid="enter">
        {t("enter.submit")}
      </Button>
    </form>
  );
}

function Adult({ wrong }: { wrong: boolean }) {
  const { t } = useTranslation();
  return (
    <div>
      <label className="flex min-h-11 items-center gap-3">
        <input
          type="checkbox"
          name="adult"
          className="size-6 accent-accent"
          aria-describedby={wrong ? "adult-note" : undefined}
          data-testid="adult"
        />
        {t("enter.adult")}
      </label>
      {wrong ? (
        <p id="adult-note" className="text-sm text-danger-ink">
          {t("enter.needAdult")}
        </p>
      ) : null}
    </div>
  );
}

function Welcome() {
  const { t } = useTranslation();
  const points = [
    { icon: Video, text: t("enter.pointCalls") },
    { icon: Shuffle, text: t("enter.pointMatch") },
    { icon: MessageSquare, text: t("enter.pointChat") },
    { icon: UserRoundX, text: t("enter.pointAnonymous") },
  ];
  return (
    <div>
      <h1 className="text-4xl font-bold tracking-tight sm:text-5xl">{t("app.tagline")}</h1>
      <ul className="mt-6 hidden gap-3 text-lg text-soft sm:grid">
        {points.map(({ icon: Icon, text }) => (
          <li key={text} className="flex items-center gap-3">
            <Icon aria-hidden className="size-6 shrink-0 text-accent" />
            {text}
          </li>
        ))}
      </ul>
    </div>
  );
}
