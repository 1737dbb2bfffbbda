import type { Banned } from "@parlor/sdk";
import { Ban } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "../ui.tsx";

/** In place of the door: why one may not come in, and until when. */
export function BannedNotice({ banned, onRetry }: { banned: Banned; onRetry: () => void }) {
  const { t, i18n } = useTranslation();
  const moment = new Intl.DateTimeFormat(i18n.language, { dateStyle: "long", timeStyle: "short" });
  return (
    <section
      role="alert"
      className="grid justify-items-start gap-3 rounded-2xl border border-line bg-surface p-5 shadow-sm sm:p-6"
      data-testid="banned"
    >
      <Ban aria-hidden className="size-10 text-danger-ink" />
      <h2 className="text-xl font-semibold">{t("banned.title")}</h2>
      <p>{t("banned.text")}</p>
      {banned.reason ? (
        <p className="wrap-anywhere">{t("banned.reason", { reason: banned.reason })}</p>
      ) : null}
      <p>
        {banned.until
          ? t("banned.until", { when: moment.format(new Date(banned.until)) })
          : t("banned.forGood")}
      </p>
      <Button tone="plain" onClick={onRetry} data-testid="banned-retry">
        {t("banned.retry")}
      </Button>
    </section>
  );
}
