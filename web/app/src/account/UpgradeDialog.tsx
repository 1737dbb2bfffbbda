import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { AccountFields, type AccountProblem, accountOf, accountProblem } from "./fields.tsx";
import { useRefresh } from "./me.ts";
import { accountWords } from "./words.ts";

/** A guest gets an account, and stays who they are: nothing that goes on is interrupted. */
export function UpgradeDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { user, accept } = useSession();
  const refresh = useRefresh();
  const [problem, setProblem] = useState<AccountProblem | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const found = accountProblem(fields);
    setProblem(found);
    setRefusal(null);
    if (found) return form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
    setBusy(true);
    try {
      accept(await parlor.accounts.upgrade(accountOf(fields)));
      await refresh("me", "logins", "trust");
      setDone(true);
    } catch (error) {
      setRefusal(accountWords(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("account.upgradeTitle")} onClose={onClose}>
      {done ? (
        <div className="grid gap-4">
          <p role="status" data-testid="upgraded">
            {t("account.upgraded", { name: user?.nickname })}
          </p>
          <Button onClick={onClose} data-testid="upgrade-done">
            {t("common.close")}
          </Button>
        </div>
      ) : (
        <form noValidate onSubmit={submit} className="grid gap-5">
          <p className="text-soft">{t("account.upgradeText")}</p>
          {parlor.api.isBeside && parlor.guests?.main ? (
            <p className="text-sm text-soft">
              {t("account.replaces", { name: parlor.guests.main.nickname })}
            </p>
          ) : null}
          <AccountFields problem={problem} username={user?.nickname ?? ""} />
          {refusal ? <Alert>{refusal}</Alert> : null}
          <Button type="submit" disabled={busy} data-testid="upgrade-submit">
            {t("account.upgradeSubmit")}
          </Button>
        </form>
      )}
    </Dialog>
  );
}
