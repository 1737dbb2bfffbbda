import { Eye, EyeOff } from "lucide-react";
import { type ComponentProps, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Field, IconButton } from "../ui.tsx";

type Hints = { hint?: string; error?: string | undefined };

/** A field for a password, which can be looked at. */
export function PasswordField({
  label,
  hint,
  error,
  ...rest
}: ComponentProps<"input"> & { label: string } & Hints) {
  const { t } = useTranslation();
  const id = useId();
  const [shown, setShown] = useState(false);
  const note = error ?? hint;
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <div className="relative">
        <input
          id={id}
          type={shown ? "text" : "password"}
          className="field pr-12"
          autoCapitalize="off"
          spellCheck={false}
          maxLength={128}
          aria-invalid={error ? true : undefined}
          aria-describedby={note ? `${id}-note` : undefined}
          {...rest}
        />
        <span className="absolute top-0 right-0 text-soft">
          <IconButton label={t(shown ? "account.hide" : "account.show")} onClick={() => setShown(!shown)}>
            {shown ? <EyeOff aria-hidden className="size-5" /> : <Eye aria-hidden className="size-5" />}
          </IconButton>
        </span>
      </div>
      {note ? (
        <p id={`${id}-note`} className={`text-sm ${error ? "text-danger-ink" : "text-soft"}`}>
          {note}
        </p>
      ) : null}
    </div>
  );
}

/** A code: of an app, or for recovery. */
export function CodeField(props: ComponentProps<"input"> & { label: string } & Hints) {
  return (
    <Field
      autoComplete="one-time-code"
      autoCapitalize="off"
      autoCorrect="off"
      spellCheck={false}
      maxLength={64}
      name="code"
      {...props}
    />
  );
}

export type AccountProblem = "username" | "password" | "email";

/** What is wrong with the name, password and address that somebody wants; nothing, if null. */
export function accountProblem(fields: FormData): AccountProblem | null {
  if (!/^[a-zA-Z0-9_-]{2,50}$/.test(textOf(fields, "username").trim())) return "username";
  const length = [...textOf(fields, "password")].length;
  if (length < 8 || length > 128) return "password";
  const email = textOf(fields, "email").trim();
  return email !== "" && !/^[^@\s]+@[^@\s]+$/.test(email) ? "email" : null;
}

/** What the account is to be, out of a form that has no problem. */
export function accountOf(fields: FormData): { username: string; password: string; email?: string } {
  const email = textOf(fields, "email").trim();
  const username = textOf(fields, "username").trim();
  return { username, password: textOf(fields, "password"), ...(email ? { email } : {}) };
}

export function textOf(fields: FormData, name: string): string {
  return String(fields.get(name) ?? "");
}

/** Name, password and address of a new account. */
export function AccountFields({ problem, username }: { problem: AccountProblem | null; username?: string }) {
  const { t } = useTranslation();
  return (
    <>
      <Field
        label={t("account.username")}
        hint={t("account.usernameHint")}
        error={problem === "username" ? t("account.badUsername") : undefined}
        name="username"
        defaultValue={username}
        autoComplete="username"
        autoCapitalize="off"
        spellCheck={false}
        maxLength={50}
        data-testid="new-username"
      />
      <PasswordField
        label={t("account.password")}
        hint={t("account.passwordHint")}
        error={problem === "password" ? t("account.badPassword") : undefined}
        name="password"
        autoComplete="new-password"
        data-testid="new-password"
      />
      <Field
        label={t("account.email")}
        hint={t("account.emailHint")}
        error={problem === "email" ? t("account.badEmail") : undefined}
        name="email"
        inputMode="email"
        autoComplete="email"
        maxLength={254}
        data-testid="new-email"
      />
    </>
  );
}
