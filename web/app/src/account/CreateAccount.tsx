import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button } from "../ui.tsx";
import { AgeFields, type AgeProblem, ageOf, ageProblem } from "./age.tsx";
import { AccountFields, type AccountProblem, accountOf, accountProblem } from "./fields.tsx";
import { accountWords } from "./words.ts";

/** An account from the beginning. */
export function CreateAccount() {
  const { t } = useTranslation();
  const { accept } = useSession();
  const [problem, setProblem] = useState<AccountProblem | AgeProblem | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const found = accountProblem(fields) ?? ageProblem(fields);
    setProblem(found);
    setRefusal(null);
    if (found) return form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
    setBusy(true);
    try {
      accept(await parlor.accounts.register({ ...accountOf(fields), ...ageOf(fields) }));
    } catch (error) {
      setRefusal(accountWords(error));
      setBusy(false);
    }
  };
  return (
    <form noValidate onSubmit={submit} className="grid gap-5">
      <p className="text-soft">{t("account.createHint")}</p>
      <AccountFields problem={problem === "birthYear" || problem === "adult" ? null : problem} />
      <AgeFields problem={problem === "birthYear" || problem === "adult" ? problem : null} />
      {refusal ? <Alert>{refusal}</Alert> : null}
      <Button type="submit" disabled={busy} data-testid="create-account">
        {t("account.create")}
      </Button>
    </form>
  );
}
