import { havePasskeys, type Passkey } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { Fingerprint, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useRefresh } from "../account/me.ts";
import { parlor } from "../session.tsx";
import { Button, IconButton } from "../ui.tsx";
import { PasswordDialog } from "./PasswordDialog.tsx";
import { Done, Section } from "./parts.tsx";
import { RecoveryCodes } from "./RecoveryCodes.tsx";

/** One's passkeys, and one more. */
export function Passkeys({ isFirst }: { isFirst: boolean }) {
  const { t, i18n } = useTranslation();
  const refresh = useRefresh();
  const { data } = useQuery({ queryKey: ["passkeys"], queryFn: () => parlor.accounts.passkeys() });
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const [codes, setCodes] = useState<string[]>([]);
  const [done, setDone] = useState<string | null>(null);
  const day = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium" });

  const add = async (password: string, name: string) => {
    const passkey = await parlor.accounts.addPasskey(password, name);
    await refresh("me", "passkeys", "logins");
    setDone(t("settings.security.passkeyAdded", { name: passkey.name }));
    setCodes(passkey.recoveryCodes ?? []);
    setAdding(false);
  };
  const remove = async (password: string) => {
    if (removing) await parlor.accounts.removePasskey(removing.passkeyId, password);
    await refresh("me", "passkeys", "logins");
    setRemoving(null);
  };
  return (
    <Section
      title={t("settings.security.passkeys")}
      intro={t("settings.security.passkeysIntro")}
      testId="passkeys"
    >
      {data?.length === 0 ? <p className="text-soft">{t("settings.security.noPasskeys")}</p> : null}
      {data && data.length > 0 ? (
        <ul className="grid gap-2">
          {data.map((passkey) => (
            <li
              key={passkey.passkeyId}
              className="flex items-center gap-3 rounded-xl border border-line py-1 pr-1 pl-4"
              data-testid="passkey"
            >
              <Fingerprint aria-hidden className="size-5 shrink-0 text-accent" />
              <div className="min-w-0 flex-1 py-1">
                <p className="truncate font-medium">{passkey.name}</p>
                <p className="text-sm text-soft">
                  {t("settings.security.added", { when: day.format(new Date(passkey.createdAt)) })},{" "}
                  {passkey.lastUsedAt
                    ? t("settings.security.used", { when: day.format(new Date(passkey.lastUsedAt)) })
                    : t("settings.security.neverUsed")}
                </p>
              </div>
              <IconButton
                label={t("settings.security.removePasskey", { name: passkey.name })}
                onClick={() => setRemoving(passkey)}
                data-testid="passkey-remove"
              >
                <Trash2 aria-hidden className="size-5" />
              </IconButton>
            </li>
          ))}
        </ul>
      ) : null}
      <Done>{done}</Done>
      {havePasskeys() ? (
        <Button
          tone="plain"
          onClick={() => setAdding(true)}
          className="justify-self-start"
          data-testid="passkey-add"
        >
          <Fingerprint aria-hidden className="size-5" />
          {t("settings.security.addPasskey")}
        </Button>
      ) : (
        <p className="text-sm text-soft">{t("settings.security.passkeysNotHere")}</p>
      )}
      {adding ? (
        <PasswordDialog
          title={t("settings.security.addPasskeyTitle")}
          {...(isFirst ? { text: t("settings.security.firstEndsOthers") } : {})}
          submit={t("account.confirm.submit")}
          named={{ label: t("settings.security.passkeyName"), hint: t("settings.security.passkeyNameHint") }}
          act={add}
          onClose={() => setAdding(false)}
        />
      ) : null}
      {codes.length > 0 ? <RecoveryCodes codes={codes} onClose={() => setCodes([])} /> : null}
      {removing ? (
        <PasswordDialog
          title={t("settings.security.removePasskeyTitle", { name: removing.name })}
          text={t("settings.security.removePasskeyText")}
          submit={t("settings.security.remove")}
          danger
          act={remove}
          onClose={() => setRemoving(null)}
        />
      ) : null}
    </Section>
  );
}
