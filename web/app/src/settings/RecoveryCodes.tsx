import { Copy, Download } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { download, grouped } from "../account/words.ts";
import { useSession } from "../session.tsx";
import { Button, Dialog } from "../ui.tsx";

/** The codes for the day on which phone or key is lost. They are shown this once. */
export function RecoveryCodes({ codes, onClose }: { codes: string[]; onClose: () => void }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const [copied, setCopied] = useState(false);
  const text = codes.map(grouped).join("\n");
  const copy = async () => {
    await navigator.clipboard?.writeText(text).then(
      () => setCopied(true),
      () => undefined,
    );
  };
  const save = () =>
    download(`parlor-recovery-codes-${user?.nickname}.txt`, new Blob([`${text}\n`], { type: "text/plain" }));
  return (
    <Dialog title={t("settings.security.recoveryTitle")} onClose={onClose} stays>
      <div className="grid gap-4">
        <p className="text-soft">{t("settings.security.recoveryText")}</p>
        <ul
          aria-label={t("settings.security.recovery")}
          className="grid gap-x-4 gap-y-1 rounded-xl bg-sunken p-4 font-mono text-sm select-all"
        >
          {codes.map((code) => (
            <li key={code} className="wrap-anywhere" data-testid="recovery-code">
              {grouped(code)}
            </li>
          ))}
        </ul>
        <div className="flex flex-wrap gap-2">
          <Button tone="plain" onClick={() => void copy()} className="flex-1" data-testid="recovery-copy">
            <Copy aria-hidden className="size-5" />
            {t(copied ? "settings.security.copied" : "settings.security.copy")}
          </Button>
          <Button tone="plain" onClick={save} className="flex-1" data-testid="recovery-download">
            <Download aria-hidden className="size-5" />
            {t("settings.security.download")}
          </Button>
        </div>
        <Button onClick={onClose} data-testid="recovery-kept">
          {t("settings.security.kept")}
        </Button>
      </div>
    </Dialog>
  );
}
