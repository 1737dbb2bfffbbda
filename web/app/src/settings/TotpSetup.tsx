import type { TotpWanted } from "@parlor/sdk";
import encodeQR from "qr";
import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useAct } from "../account/act.ts";
import { CodeField, textOf } from "../account/fields.tsx";
import { useRefresh } from "../account/me.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { PasswordDialog } from "./PasswordDialog.tsx";
import { RecoveryCodes } from "./RecoveryCodes.tsx";

/** From the password over the first code to the recovery codes, which are shown this once. */
export function TotpSetup({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const refresh = useRefresh();
  const [wanted, setWanted] = useState<TotpWanted | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  // Known only when all is read: the page behind may not change what this dialog stands on.
  const close = () => {
    if (codes) void refresh("me", "logins");
    onClose();
  };
  if (codes) return <RecoveryCodes codes={codes} onClose={close} />;
  if (wanted) return <FirstCode wanted={wanted} onCodes={setCodes} onClose={close} />;
  return (
    <PasswordDialog
      title={t("settings.security.setUpTitle")}
      text={t("settings.security.setUpPassword")}
      submit={t("account.confirm.submit")}
      act={async (password) => setWanted(await parlor.accounts.wantTotp(password))}
      onClose={close}
    />
  );
}

interface FirstCodeProps {
  wanted: TotpWanted;
  onCodes: (codes: string[]) => void;
  onClose: () => void;
}

function FirstCode({ wanted, onCodes, onClose }: FirstCodeProps) {
  const { t } = useTranslation();
  const { busy, refusal, run } = useAct();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const code = textOf(new FormData(event.currentTarget), "code").replace(/\s/g, "");
    void run(async () => onCodes(await parlor.accounts.confirmTotp(code)));
  };
  return (
    <Dialog title={t("settings.security.setUpTitle")} onClose={onClose}>
      <form noValidate onSubmit={submit} className="grid gap-4">
        <p className="text-soft">{t("settings.security.scan")}</p>
        <QrCode text={wanted.url} label={t("settings.security.qr")} />
        <div>
          <p className="text-sm text-soft">{t("settings.security.typeIt")}</p>
          <p className="font-mono text-sm wrap-anywhere select-all" data-testid="totp-secret">
            {wanted.secret.match(/.{1,4}/g)?.join(" ")}
          </p>
        </div>
        <CodeField
          label={t("settings.security.firstCode")}
          hint={t("account.second.codeHint")}
          inputMode="numeric"
          data-testid="first-code"
        />
        {refusal ? <Alert>{refusal}</Alert> : null}
        <Button type="submit" disabled={busy} data-testid="totp-confirm">
          {t("settings.security.confirm")}
        </Button>
      </form>
    </Dialog>
  );
}

/** Black on white in both lights: that is what cameras read. */
function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => {
    const rows = encodeQR(text, "raw", { ecc: "medium", border: 2 });
    const dark = rows.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
    return { size: rows.length, path: dark.join("") };
  }, [text]);
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
      className="size-52 justify-self-center rounded-xl bg-white"
      data-testid="totp-qr"
    >
      <path d={path} fill="#000000" />
    </svg>
  );
}
