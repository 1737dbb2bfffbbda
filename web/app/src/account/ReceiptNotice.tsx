import type { SignedReceipt } from "@parlor/sdk";
import { Download, FileCheck2 } from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "../session.tsx";
import { Button } from "../ui.tsx";
import { download } from "./words.ts";

const COUNTED = [
  "messages",
  "files",
  "sessions",
  "passkeys",
  "blocks",
  "streamKeys",
  "memberships",
  "roomsPassedOn",
  "roomsArchived",
] as const;

/** In place of the door, right after somebody had everything deleted. */
export function ReceiptNotice({ signed }: { signed: SignedReceipt }) {
  const { t, i18n } = useTranslation();
  const { forgetReceipt } = useSession();
  const { receipt, signature } = signed;
  const { deleted, kept } = receipt;
  const places = kept.idIn ?? [];
  const moment = new Intl.DateTimeFormat(i18n.language, { dateStyle: "long", timeStyle: "short" });
  const day = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium" });
  const until = (time: string | null) => (time ? day.format(new Date(time)) : "");
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const save = () =>
    download(
      `parlor-receipt-${receipt.receiptId}.json`,
      new Blob([JSON.stringify(signed, null, 2)], { type: "application/json" }),
    );
  return (
    <section
      className="grid gap-4 rounded-2xl border border-line bg-surface p-5 shadow-sm sm:p-6"
      aria-labelledby="receipt-title"
      data-testid="receipt"
    >
      <FileCheck2 aria-hidden className="size-10 text-accent" />
      <h2 id="receipt-title" ref={heading} tabIndex={-1} className="text-xl font-semibold outline-none">
        {t("settings.data.receiptTitle")}
      </h2>
      <p className="text-soft">{t("settings.data.receiptText")}</p>
      <dl className="grid gap-y-1">
        <Line what={t("settings.data.number")} value={receipt.receiptId} mono />
        <Line what={t("settings.data.when")} value={moment.format(new Date(receipt.deletedAt))} />
        <Line
          what={t("settings.data.account")}
          value={t(deleted.account ? "settings.data.yes" : "settings.data.none")}
        />
        {COUNTED.map((what) => (
          <Line key={what} what={t(`settings.data.${what}`)} value={String(deleted[what])} />
        ))}
      </dl>
      {kept.evidence + kept.endedLogins + places.length > 0 ? (
        <div>
          <h3 className="font-semibold">{t("settings.data.kept")}</h3>
          <ul className="list-disc pl-5 text-soft">
            {kept.evidence > 0 ? (
              <li>
                {t("settings.data.keptEvidence", { count: kept.evidence, when: until(kept.evidenceUntil) })}
              </li>
            ) : null}
            {kept.endedLogins > 0 ? (
              <li>
                {t("settings.data.keptLogins", {
                  count: kept.endedLogins,
                  when: until(kept.endedLoginsUntil),
                })}
              </li>
            ) : null}
            {places.length > 0 ? (
              <li className="wrap-anywhere">{t("settings.data.keptId", { where: places.join(", ") })}</li>
            ) : null}
          </ul>
        </div>
      ) : null}
      <div>
        <h3 className="text-sm font-semibold">{t("settings.data.signature")}</h3>
        <p className="font-mono text-xs wrap-anywhere text-soft">{signature}</p>
      </div>
      <div className="flex flex-wrap gap-2">
        <Button onClick={save} data-testid="receipt-download">
          <Download aria-hidden className="size-5" />
          {t("settings.data.download")}
        </Button>
        <Button tone="plain" onClick={forgetReceipt} data-testid="receipt-done">
          {t("settings.data.done")}
        </Button>
      </div>
    </section>
  );
}

function Line({ what, value, mono }: { what: string; value: string; mono?: boolean }) {
  return (
    <div className="flex flex-wrap justify-between gap-x-4 border-b border-line py-1 last:border-0">
      <dt className="text-soft">{what}</dt>
      <dd className={mono ? "font-mono text-sm wrap-anywhere" : "font-medium"}>{value}</dd>
    </div>
  );
}
