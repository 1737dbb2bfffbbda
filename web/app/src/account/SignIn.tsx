import { havePasskeys, type MfaWanted, ParlorError, secondFactorOf } from "@parlor/sdk";
import { Fingerprint } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Field } from "../ui.tsx";
import { CodeField, PasswordField, textOf } from "./fields.tsx";
import { accountWords } from "./words.ts";

/** Name and password, then what else the account asks for. */
export function SignIn() {
  const [wanted, setWanted] = useState<MfaWanted | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [username, setUsername] = useState("");
  const again = (why: string | null) => {
    setWanted(null);
    setRefusal(why);
  };
  if (wanted) return <SecondStep wanted={wanted} onBack={again} />;
  const ask = (name: string, mfa: MfaWanted) => {
    setUsername(name);
    setRefusal(null);
    setWanted(mfa);
  };
  return <FirstStep username={username} refusal={refusal} onRefusal={setRefusal} onSecond={ask} />;
}

interface FirstStepProps {
  username: string;
  refusal: string | null;
  onRefusal: (why: string | null) => void;
  onSecond: (username: string, wanted: MfaWanted) => void;
}

function FirstStep({ username, refusal, onRefusal, onSecond }: FirstStepProps) {
  const { t } = useTranslation();
  const { accept } = useSession();
  const [missing, setMissing] = useState<"username" | "password" | null>(null);
  const [busy, setBusy] = useState(false);

  const comeIn = async (name: string, work: () => ReturnType<typeof parlor.accounts.logIn>) => {
    setBusy(true);
    onRefusal(null);
    try {
      accept(await work());
    } catch (error) {
      const wanted = secondFactorOf(error);
      if (wanted) return onSecond(name, wanted);
      onRefusal(accountWords(error));
      setBusy(false);
    }
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const [name, password] = [textOf(fields, "username").trim(), textOf(fields, "password")];
    const found = name === "" ? "username" : password === "" ? "password" : null;
    setMissing(found);
    if (found) return form.querySelector<HTMLInputElement>(`[name=${found}]`)?.focus();
    void comeIn(name, () => parlor.accounts.logIn(name, password));
  };
  return (
    <form noValidate onSubmit={submit} className="grid gap-5">
      <Field
        label={t("account.username")}
        error={missing === "username" ? t("account.needUsername") : undefined}
        name="username"
        defaultValue={username}
        autoComplete="username webauthn"
        autoCapitalize="off"
        spellCheck={false}
        maxLength={50}
        data-testid="username"
      />
      <PasswordField
        label={t("account.password")}
        error={missing === "password" ? t("account.needPassword") : undefined}
        name="password"
        autoComplete="current-password"
        data-testid="password"
      />
      {refusal ? <Alert>{refusal}</Alert> : null}
      <Button type="submit" disabled={busy} data-testid="sign-in">
        {t("account.signIn")}
      </Button>
      {havePasskeys() ? (
        <>
          <p aria-hidden className="-my-2 text-center text-sm text-soft">
            {t("account.or")}
          </p>
          <Button
            tone="plain"
            disabled={busy}
            onClick={() => void comeIn("", () => parlor.accounts.logInByPasskey())}
            data-testid="sign-in-passkey"
          >
            <Fingerprint aria-hidden className="size-5" />
            {t("account.byPasskey")}
          </Button>
        </>
      ) : null}
    </form>
  );
}

/** A login whose password was right goes on by a code or a passkey. `onBack` says why it begins anew, or nothing. */
function SecondStep({ wanted, onBack }: { wanted: MfaWanted; onBack: (why: string | null) => void }) {
  const { t } = useTranslation();
  const { accept } = useSession();
  const { ticket, methods } = wanted;
  const [way, setWay] = useState<"totp" | "recoveryCode" | null>(
    (["totp", "recoveryCode"] as const).find((it) => methods.includes(it)) ?? null,
  );
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);

  const comeIn = async (work: () => ReturnType<typeof parlor.accounts.logIn>, once: boolean) => {
    setBusy(true);
    setRefusal(null);
    try {
      accept(await work());
    } catch (error) {
      // The ticket is used up, or over: from the beginning.
      if (once || (error instanceof ParlorError && error.code === "token_invalid"))
        return onBack(accountWords(error));
      setRefusal(accountWords(error));
      setBusy(false);
    }
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const code = textOf(new FormData(event.currentTarget), "code").trim();
    if (code === "") return event.currentTarget.querySelector<HTMLInputElement>("[name=code]")?.focus();
    void comeIn(() => parlor.accounts.logInByCode(ticket, code), false);
  };
  const other = way === "totp" ? "recoveryCode" : "totp";
  return (
    <form noValidate onSubmit={submit} className="grid gap-5" data-testid="second-step">
      <div className="grid gap-1">
        <h3 ref={heading} tabIndex={-1} className="text-lg font-semibold outline-none">
          {t("account.second.title")}
        </h3>
        <p className="text-soft">
          {t(`account.second.${way === "totp" ? "totp" : way ? "recovery" : "passkeyOnly"}`)}
        </p>
      </div>
      {way ? (
        <CodeField
          key={way}
          label={t(way === "totp" ? "account.second.code" : "account.second.recoveryCode")}
          {...(way === "totp" ? { hint: t("account.second.codeHint"), inputMode: "numeric" } : {})}
          data-testid="second-code"
        />
      ) : null}
      {refusal ? <Alert>{refusal}</Alert> : null}
      {way ? (
        <Button type="submit" disabled={busy} data-testid="second-submit">
          {t("account.second.submit")}
        </Button>
      ) : null}
      {methods.includes("passkey") ? (
        <Button
          tone={way ? "plain" : "accent"}
          disabled={busy}
          onClick={() => void comeIn(() => parlor.accounts.logInByPasskey(ticket), true)}
          data-testid="second-passkey"
        >
          <Fingerprint aria-hidden className="size-5" />
          {t("account.second.passkey")}
        </Button>
      ) : null}
      <div className="flex flex-wrap justify-between gap-x-4">
        {methods.includes(other) && way ? (
          <TextButton
            onClick={() => {
              setRefusal(null);
              setWay(other);
            }}
            testId="second-other"
          >
            {t(`account.second.${other === "totp" ? "useApp" : "useRecovery"}`)}
          </TextButton>
        ) : null}
        <TextButton onClick={() => onBack(null)} testId="second-back">
          {t("account.second.back")}
        </TextButton>
      </div>
    </form>
  );
}

function TextButton({
  onClick,
  testId,
  children,
}: {
  onClick: () => void;
  testId: string;
  children: string;
}) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="min-h-11 font-medium text-accent underline underline-offset-4"
      data-testid={testId}
    >
      {children}
    </button>
  );
}
