import { MessageSquare, UserRoundX, Video } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { useSession } from "../session.tsx";
import { Alert, Button, Field, Page } from "../ui.tsx";

type Problem = "nickname" | "birthYear" | "adult";

/** The door: shown in place of any page that needs a name. */
export function Enter() {
  const { t } = useTranslation();
  const { enter } = useSession();
  const [nickname, setNickname] = useState("");
  const [birthYear, setBirthYear] = useState("");
  const [adult, setAdult] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const check = (): Problem | null => {
    if (!/^[a-zA-Z0-9_-]{2,50}$/.test(nickname)) return "nickname";
    if (!/^(19|20)\d\d$/.test(birthYear)) return "birthYear";
    return adult ? null : "adult";
  };

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const found = check();
    setProblem(found);
    setRefusal(null);
    if (found) {
      form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
      return;
    }
    setBusy(true);
    try {
      await enter({ nickname, birthYear: Number(birthYear), adult });
    } catch (error) {
      setRefusal(sentence(error));
      setBusy(false);
    }
  };

  return (
    <Page title={t("enter.title")}>
      <div className="grid items-center gap-8 lg:grid-cols-2 lg:gap-16">
        <Welcome />
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
            value={nickname}
            onChange={(event) => setNickname(event.target.value)}
            data-testid="nickname"
          />
          <Field
            label={t("enter.birthYear")}
            error={problem === "birthYear" ? t("enter.badYear") : undefined}
            name="birthYear"
            inputMode="numeric"
            autoComplete="bday-year"
            maxLength={4}
            value={birthYear}
            onChange={(event) => setBirthYear(event.target.value.trim())}
            data-testid="birth-year"
          />
          <div>
            <label className="flex min-h-11 items-center gap-3">
              <input
                type="checkbox"
                name="adult"
                className="size-6 accent-accent"
                checked={adult}
                aria-describedby={problem === "adult" ? "adult-note" : undefined}
                onChange={(event) => setAdult(event.target.checked)}
                data-testid="adult"
              />
              {t("enter.adult")}
            </label>
            {problem === "adult" ? (
              <p id="adult-note" className="text-sm text-danger-ink">
                {t("enter.needAdult")}
              </p>
            ) : null}
          </div>
          {refusal ? <Alert>{refusal}</Alert> : null}
          <Button type="submit" disabled={busy} data-testid="enter">
            {t("enter.submit")}
          </Button>
        </form>
      </div>
    </Page>
  );
}

function Welcome() {
  const { t } = useTranslation();
  const points = [
    { icon: Video, text: t("enter.pointCalls") },
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
