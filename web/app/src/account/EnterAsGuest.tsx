import type { UserEntry } from "@parlor/sdk";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Alert, Button, Field } from "../ui.tsx";
import { AgeFields, type AgeProblem, ageOf, ageProblem } from "./age.tsx";
import { textOf } from "./fields.tsx";
import { accountWords } from "./words.ts";

/** A name and an age: all that a guest gives. */
export function EnterAsGuest({ hint, enter }: { hint: string; enter: (entry: UserEntry) => Promise<void> }) {
  const { t } = useTranslation();
  const [problem, setProblem] = useState<"nickname" | AgeProblem | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const nickname = textOf(fields, "nickname").trim();
    const found = /^[a-zA-Z0-9_-]{2,50}$/.test(nickname) ? ageProblem(fields) : "nickname";
    setProblem(found);
    setRefusal(null);
    if (found) return form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
    setBusy(true);
    try {
      await enter({ nickname, ...ageOf(fields) });
    } catch (error) {
      setRefusal(accountWords(error));
      setBusy(false);
    }
  };
  return (
    <form noValidate onSubmit={submit} className="grid gap-5">
      <p className="text-soft">{hint}</p>
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
      <AgeFields problem={problem === "nickname" ? null : problem} />
      {refusal ? <Alert>{refusal}</Alert> : null}
      <Button type="submit" disabled={busy} data-testid="enter">
        {t("enter.submit")}
      </Button>
    </form>
  );
}
