import { type FormEvent, type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useAct } from "../account/act.ts";
import { CodeField, PasswordField, textOf } from "../account/fields.tsx";
import { Alert, Button, Dialog, Field } from "../ui.tsx";

interface PasswordDialogProps {
  title: string;
  text?: ReactNode;
  submit: string;
  danger?: boolean;
  /** With a name to be given as well, under this label. */
  named?: { label: string; hint: string };
  /** Does it; what it throws is told, and the dialog stays. */
  act: (password: string, name: string) => Promise<unknown>;
  onClose: () => void;
}

/** Something that only the account's owner may do: it takes the password, and the second factor if this login has not shown it. */
export function PasswordDialog({ title, text, submit, danger, named, act, onClose }: PasswordDialogProps) {
  const { t } = useTranslation();
  const { busy, refusal, needsCode, run } = useAct();
  const [missing, setMissing] = useState(false);
  const confirm = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    const password = textOf(fields, "password");
    setMissing(password === "");
    if (password === "") return form.querySelector<HTMLInputElement>("[name=password]")?.focus();
    await run(() => act(password, textOf(fields, "name").trim()), textOf(fields, "code").trim());
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form noValidate onSubmit={(event) => void confirm(event)} className="grid gap-5">
        {text ? <div className="text-soft">{text}</div> : null}
        {named ? (
          <Field
            label={named.label}
            hint={named.hint}
            name="name"
            maxLength={50}
            autoComplete="off"
            data-testid="confirm-name"
          />
        ) : null}
        <PasswordField
          label={t("account.confirm.password")}
          error={missing ? t("account.needPassword") : undefined}
          name="password"
          autoComplete="current-password"
          data-testid="confirm-password"
        />
        {needsCode ? (
          <CodeField
            label={t("account.confirm.code")}
            hint={t("account.confirm.codeWhy")}
            data-testid="confirm-code"
          />
        ) : null}
        {refusal ? <Alert>{refusal}</Alert> : null}
        <Button
          type="submit"
          tone={danger ? "danger" : "accent"}
          disabled={busy}
          data-testid="confirm-submit"
        >
          {submit}
        </Button>
      </form>
    </Dialog>
  );
}
