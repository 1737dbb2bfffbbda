import type { Me } from "@parlor/sdk";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useAct } from "../account/act.ts";
import { CodeField, PasswordField, textOf } from "../account/fields.tsx";
import { useMe, useRefresh } from "../account/me.ts";
import { UpgradeDialog } from "../account/UpgradeDialog.tsx";
import { parlor } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import { Logins } from "./Logins.tsx";
import { Passkeys } from "./Passkeys.tsx";
import { PasswordDialog } from "./PasswordDialog.tsx";
import { Badge, Done, Section } from "./parts.tsx";
import { TotpSetup } from "./TotpSetup.tsx";

/** By what one comes in, and where one is in. */
export function Security() {
  const me = useMe();
  if (!me) return <Spinner />;
  return (
    <>
      {me.account ? (
        <>
          <SecondFactor account={me.account} />
          <Passkeys isFirst={!me.account.totp && me.account.passkeys === 0} />
          <ChangePassword username={me.account.username} />
        </>
      ) : (
        <NeedAccount />
      )}
      <Logins />
    </>
  );
}

function NeedAccount() {
  const { t } = useTranslation();
  const [upgrading, setUpgrading] = useState(false);
  return (
    <Section title={t("account.upgradeTitle")} intro={t("settings.security.needAccount")}>
      <Button
        onClick={() => setUpgrading(true)}
        className="justify-self-start"
        data-testid="security-upgrade"
      >
        {t("account.upgradeSubmit")}
      </Button>
      {upgrading ? <UpgradeDialog onClose={() => setUpgrading(false)} /> : null}
    </Section>
  );
}

function SecondFactor({ account }: { account: NonNullable<Me["account"]> }) {
  const { t } = useTranslation();
  const refresh = useRefresh();
  const [open, setOpen] = useState<"setUp" | "turnOff" | null>(null);
  const close = () => setOpen(null);
  const { totp, recoveryCodesLeft, passkeys } = account;
  const turnOff = async (password: string) => {
    await parlor.accounts.endTotp(password);
    await refresh("me", "logins");
    close();
  };
  return (
    <Section
      title={t("settings.security.second")}
      intro={t("settings.security.secondIntro")}
      testId="second-factor"
    >
      <div className="flex flex-wrap items-center justify-between gap-3">
        <div className="min-w-0 flex-1 basis-56">
          <p className="flex flex-wrap items-center gap-2 font-medium">
            {t("settings.security.totp")}
            <Badge on={totp}>{t(totp ? "settings.security.on" : "settings.security.off")}</Badge>
          </p>
          <p className="text-sm text-soft">
            {t(totp ? "settings.security.totpOn" : "settings.security.totpOff")}
          </p>
        </div>
        {totp ? (
          <Button tone="plain" onClick={() => setOpen("turnOff")} data-testid="totp-off">
            {t("settings.security.turnOff")}
          </Button>
        ) : (
          <Button onClick={() => setOpen("setUp")} data-testid="totp-set-up">
            {t("settings.security.setUp")}
          </Button>
        )}
      </div>
      {totp ? (
        <p
          className={`text-sm ${recoveryCodesLeft < 3 ? "font-medium text-danger-ink" : "text-soft"}`}
          data-testid="recovery-left"
        >
          {t("settings.security.recoveryLeft", { count: recoveryCodesLeft })}
        </p>
      ) : null}
      {!totp && passkeys === 0 ? (
        <p className="text-sm text-soft">{t("settings.security.firstEndsOthers")}</p>
      ) : null}
      {open === "setUp" ? <TotpSetup onClose={close} /> : null}
      {open === "turnOff" ? (
        <PasswordDialog
          title={t("settings.security.turnOffTitle")}
          text={t("settings.security.turnOffText")}
          submit={t("settings.security.turnOff")}
          danger
          act={turnOff}
          onClose={close}
        />
      ) : null}
    </Section>
  );
}

function ChangePassword({ username }: { username: string }) {
  const { t } = useTranslation();
  const refresh = useRefresh();
  const { busy, refusal, needsCode, run } = useAct();
  const [problem, setProblem] = useState<"password" | "newPassword" | null>(null);
  const [done, setDone] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const [old, next] = [textOf(fields, "password"), textOf(fields, "newPassword")];
    const found = old === "" ? "password" : [...next].length < 8 ? "newPassword" : null;
    setProblem(found);
    setDone(false);
    if (found) return form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
    if (!(await run(() => parlor.accounts.changePassword(old, next), textOf(fields, "code").trim()))) return;
    form.reset();
    setDone(true);
    await refresh("logins");
  };
  return (
    <Section title={t("settings.security.password")} intro={t("settings.security.passwordIntro")}>
      <form noValidate onSubmit={(event) => void submit(event)} className="grid gap-4">
        {/* For password keepers: whose password this is. */}
        <input type="text" name="username" value={username} readOnly hidden autoComplete="username" />
        <PasswordField
          label={t("settings.security.current")}
          error={problem === "password" ? t("account.needPassword") : undefined}
          name="password"
          autoComplete="current-password"
          data-testid="old-password"
        />
        <PasswordField
          label={t("settings.security.next")}
          hint={t("account.passwordHint")}
          error={problem === "newPassword" ? t("account.badPassword") : undefined}
          name="newPassword"
          autoComplete="new-password"
          data-testid="next-password"
        />
        {needsCode ? (
          <CodeField
            label={t("account.confirm.code")}
            hint={t("account.confirm.codeWhy")}
            data-testid="password-code"
          />
        ) : null}
        {refusal ? <Alert>{refusal}</Alert> : null}
        <div className="flex flex-wrap items-center gap-3">
          <Button type="submit" tone="plain" disabled={busy} data-testid="change-password">
            {t("settings.security.change")}
          </Button>
          <Done>{done ? t("settings.security.changed") : null}</Done>
        </div>
      </form>
    </Section>
  );
}
