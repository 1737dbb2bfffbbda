import { ShieldAlert } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { useAct } from "./act.ts";
import { CodeField, textOf } from "./fields.tsx";
import { useMe, useRefresh } from "./me.ts";

/** Above every page: what somebody must know about their account. */
export function Banners() {
  return (
    <>
      <Reused />
      <WrongCodes />
      <Withheld />
    </>
  );
}

/** A login of theirs was used from elsewhere. It stays until it is read. */
export function Reused() {
  const { t, i18n } = useTranslation();
  const { reused, forgetReused } = useSession();
  if (reused.length === 0) return null;
  const devices = [...new Set(reused.map(({ device }) => device ?? t("account.unknownDevice")))];
  const list = new Intl.ListFormat(i18n.language).format(devices);
  return (
    <div role="alert" className="bg-warn-ground text-warn-ink" data-testid="login-reused">
      <div className="mx-auto flex max-w-4xl flex-wrap items-center gap-3 px-4 py-3">
        <ShieldAlert aria-hidden className="size-6 shrink-0" />
        <p className="min-w-0 flex-1 basis-60">
          {t("account.reused", { count: reused.length, devices: list })} {t("account.reusedHint")}
        </p>
        <Button tone="plain" onClick={forgetReused} data-testid="reused-understood">
          {t("account.understood")}
        </Button>
      </div>
    </div>
  );
}

/** Somebody tries to guess the second factor: they have the password already. */
function WrongCodes() {
  const { t } = useTranslation();
  const { wrongCodes, forgetWrongCodes } = useSession();
  if (wrongCodes === 0) return null;
  return (
    <div role="alert" className="bg-warn-ground text-warn-ink" data-testid="wrong-codes">
      <div className="mx-auto flex max-w-4xl flex-wrap items-center gap-3 px-4 py-3">
        <ShieldAlert aria-hidden className="size-6 shrink-0" />
        <p className="min-w-0 flex-1 basis-60">{t("account.wrongCodes", { count: wrongCodes })}</p>
        <Button tone="plain" onClick={forgetWrongCodes} data-testid="wrong-codes-understood">
          {t("account.understood")}
        </Button>
      </div>
    </div>
  );
}

/** Somebody whose role rests until their login has shown a second factor is led to it. */
function Withheld() {
  const { t } = useTranslation();
  const me = useMe();
  const [confirming, setConfirming] = useState(false);
  if (!me?.withheldRole) return null;
  const has = me.account?.totp || (me.account?.passkeys ?? 0) > 0;
  const role = t(`account.withheld.${me.withheldRole}`);
  return (
    <div role="status" className="border-b border-line bg-tint" data-testid="withheld">
      <div className="mx-auto flex max-w-4xl flex-wrap items-center gap-3 px-4 py-3">
        <ShieldAlert aria-hidden className="size-6 shrink-0 text-accent" />
        <p className="min-w-0 flex-1 basis-60">
          {t(has ? "account.withheld.show" : "account.withheld.setUp", { role })}
        </p>
        {has ? (
          <Button onClick={() => setConfirming(true)} data-testid="withheld-confirm">
            {t("account.withheld.showNow")}
          </Button>
        ) : (
          <Link
            to="/settings/security"
            className="inline-flex min-h-11 items-center rounded-xl bg-accent px-4 font-semibold text-on-accent hover:bg-accent-strong"
            data-testid="withheld-set-up"
          >
            {t("account.withheld.setUpNow")}
          </Link>
        )}
      </div>
      {confirming ? <Confirm onClose={() => setConfirming(false)} /> : null}
    </div>
  );
}

function Confirm({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { busy, refusal, run } = useAct();
  const refresh = useRefresh();
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const code = textOf(new FormData(event.currentTarget), "code");
    const done = await run(() => parlor.accounts.passSecondFactor(code));
    if (!done) return;
    await refresh("me", "logins");
    onClose();
  };
  return (
    <Dialog title={t("account.second.title")} onClose={onClose}>
      <form noValidate onSubmit={submit} className="grid gap-5">
        <CodeField label={t("account.confirm.code")} data-testid="confirm-code" />
        {refusal ? <Alert>{refusal}</Alert> : null}
        <Button type="submit" disabled={busy} data-testid="confirm-submit">
          {t("account.second.submit")}
        </Button>
      </form>
    </Dialog>
  );
}
