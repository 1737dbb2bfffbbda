import { Download, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useAct } from "../account/act.ts";
import { CodeField, PasswordField, textOf } from "../account/fields.tsx";
import { useMe } from "../account/me.ts";
import { download } from "../account/words.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Dialog, Field } from "../ui.tsx";
import { Done, Section } from "./parts.tsx";

/** To take along, or to have deleted. */
export function YourData() {
  const { t } = useTranslation();
  const [erasing, setErasing] = useState(false);
  return (
    <>
      <TakeAlong />
      <Section title={t("settings.data.erase")} intro={t("settings.data.eraseText")}>
        <Button
          tone="danger"
          onClick={() => setErasing(true)}
          className="justify-self-start"
          data-testid="erase"
        >
          <Trash2 aria-hidden className="size-5" />
          {t("settings.data.eraseNow")}
        </Button>
        {erasing ? <EraseDialog onClose={() => setErasing(false)} /> : null}
      </Section>
    </>
  );
}

function TakeAlong() {
  const { t } = useTranslation();
  const { user } = useSession();
  const { busy, refusal, run } = useAct();
  const [done, setDone] = useState(false);
  const take = async () => {
    const taken = await run(async () =>
      download(`parlor-${user?.nickname}.json`, await parlor.accounts.takeAlong()),
    );
    setDone(taken);
  };
  return (
    <Section title={t("settings.data.take")} intro={t("settings.data.takeText")}>
      {refusal ? <Alert>{refusal}</Alert> : null}
      <div className="flex flex-wrap items-center gap-3">
        <Button onClick={() => void take()} disabled={busy} data-testid="export">
          <Download aria-hidden className="size-5" />
          {t(busy ? "settings.data.taking" : "settings.data.takeNow")}
        </Button>
        <Done>{done ? t("settings.data.taken") : null}</Done>
      </div>
    </Section>
  );
}

/** The last question before all is gone. It takes the name, typed, and whatever shows that it is its owner who asks. */
function EraseDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { user, erased } = useSession();
  const me = useMe();
  const { busy, refusal, needsCode, run } = useAct();
  const [problem, setProblem] = useState<"name" | "password" | null>(null);
  if (!user || !me) return null;
  const { account } = me;
  const erase = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const [password, code] = [textOf(fields, "password"), textOf(fields, "code").trim()];
    const typed = textOf(fields, "name").trim();
    const found = typed !== user.nickname ? "name" : account && !password ? "password" : null;
    setProblem(found);
    if (found) return form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
    await run(async () => {
      const again = { ...(password ? { password } : {}), ...(code ? { code } : {}) };
      // The server ends all logins while it deletes: a socket that asked why would find nobody.
      parlor.socket.close();
      const receipt = await parlor.accounts.erase(again).catch((error: unknown) => {
        parlor.socket.connect();
        throw error;
      });
      erased(receipt);
    });
  };
  return (
    <Dialog title={t("settings.data.eraseTitle")} onClose={onClose}>
      <form noValidate onSubmit={(event) => void erase(event)} className="grid gap-5">
        <ul className="grid list-disc gap-1 pl-5 text-soft">
          {(["messages", "rooms", "evidence"] as const).map((what) => (
            <li key={what}>{t(`settings.data.eraseList.${what}`)}</li>
          ))}
        </ul>
        <Field
          label={t("settings.data.typeName", { name: user.nickname })}
          error={problem === "name" ? t("settings.data.notTheName") : undefined}
          name="name"
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          data-testid="erase-name"
        />
        {account ? (
          <PasswordField
            label={t("account.confirm.password")}
            error={problem === "password" ? t("account.needPassword") : undefined}
            name="password"
            autoComplete="current-password"
            data-testid="erase-password"
          />
        ) : null}
        {needsCode ? (
          <CodeField
            label={t("account.confirm.code")}
            hint={t("account.confirm.codeWhy")}
            data-testid="erase-code"
          />
        ) : null}
        {refusal ? <Alert>{refusal}</Alert> : null}
        <Button type="submit" tone="danger" disabled={busy} data-testid="erase-confirm">
          {t("settings.data.eraseConfirm")}
        </Button>
      </form>
    </Dialog>
  );
}
